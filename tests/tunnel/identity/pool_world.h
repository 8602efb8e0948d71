// A pool for tests: a root, invites and members on a calendar that the test sets.
#pragma once

#include <gtest/gtest.h>

#include "tunnel/identity/tls_credentials.h"

namespace wow {

// 2026-03-01 00:00 UTC, when the tests' pools are made.
inline constexpr WallTime kCreated{std::chrono::seconds(1772323200)};
inline constexpr WallTime kBuilt = kCreated - std::chrono::days(30);

struct Calendar final : Clock {
  WallTime today = kCreated;
  TimePoint now() const override { return {}; }
  WallTime wall() const override { return today; }
  TimerId schedule(TimePoint, std::function<void()>) override { return 1; }
  void cancel(TimerId) override {}
};

inline PoolRoot make_pool(const std::string& name = "lab", WallTime now = kCreated) {
  return PoolRoot::create({.name = name, .subnet = "10.128.0.0/16"}, now).value();
}

inline Invite make_invite(PoolRoot& root, const std::string& label = "cluster",
                          std::optional<WallTime> join_by = std::nullopt) {
  InviteOptions options;
  options.label = label;
  options.join_by = join_by;
  options.bootstraps = {"198.51.100.7:4433"};
  return Invite::create(root, options).value();
}

inline Membership make_member(const Invite& invite, WallTime local = kCreated) {
  return join(invite, local, kBuilt).value();
}

inline std::unique_ptr<TlsCredentials> make_credentials(const Membership& membership,
                                                        const Clock& clock) {
  return std::move(TlsCredentials::make(membership, clock, kBuilt).value());
}

// Three flights between two nodes; ends early if one of them fails.
struct Handshake {
  std::unique_ptr<KeyExchange> initiator, responder;
  KeyExchange::Step first, second, third, end;

  Handshake(const Credentials& from, const Credentials& to, const Address& expected = {})
      : initiator(from.initiate(expected)), responder(to.answer()) {
    first = initiator->start();
    second = responder->on_flight(first.send);
    if (second.state == KeyExchange::State::kFailed) return;
    third = initiator->on_flight(second.send);
    if (third.state == KeyExchange::State::kFailed) return;
    end = responder->on_flight(third.send);
  }
  bool succeeded() const {
    return third.state == KeyExchange::State::kDone && end.state == KeyExchange::State::kDone;
  }
  // The first sentence that somebody gave for failing.
  std::string why() const {
    for (const auto* step : {&second, &third, &end})
      if (!step->why.empty()) return step->why;
    return "";
  }
};

}  // namespace wow
