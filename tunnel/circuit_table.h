// Circuits: packets of two nodes that cannot exchange any, passed on by a third that both can
// reach. Each leg of a circuit, between two nodes with a direct path, has a number drawn at random
// by the one of them that is nearer to who asked; both put it into their packets (DESIGN notes in
// docs/sessions.md; the labels of X.25 and ATM). Data only: overlay/ decides who may have a circuit
// and asks both ends, Sessions looks legs up. Control thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/random.h"
#include "tunnel/rate_limit.h"

namespace wow {

// One leg, as the node at either end of it sees it.
struct CircuitLeg {
  static constexpr int kPacketsPerSecond = 4000;

  Address peer;              // at the other end of this leg; its direct paths are the only way in
  std::uint32_t onward = 0;  // we are the relay: the leg on which packets go on; 0: it ends here
  Address far_end;           // it ends here: who speaks to us through it
  std::uint8_t relays = 0;   // the same: how many of them packets from there say they passed
  TimePoint last_used{};
  TimePoint retired_until{};          // set: nothing more is sent; what is on its way still comes
  RateLimit rate{kPacketsPerSecond};  // of what comes in on it to be passed on

  bool ends_here() const { return onward == 0; }
  bool is_retired() const { return retired_until != TimePoint(); }
};

class CircuitTable {
 public:
  static constexpr std::size_t kPassedOnMax = 1024;  // circuits that we are the relay of
  static constexpr std::size_t kEndsMax = 256;       // that end here
  static constexpr std::size_t kLegsPerPeerMax = 48;
  static constexpr int kPacketsPerSecond = 50'000;  // passed on, of all circuits together
  static constexpr Duration kIdle = 90s;            // without a packet: forgotten
  static constexpr Duration kLinger = 1s;           // after it was closed

  // `packets_per_second`: passed on from one leg; 0: we are nobody's relay.
  explicit CircuitTable(int packets_per_second = CircuitLeg::kPacketsPerSecond)
      : leg_rate_(packets_per_second), rate_(std::max(packets_per_second, kPacketsPerSecond)) {}

  // A number that no leg has here.
  std::uint32_t draw(Random& random) const;
  // Whether one more circuit may lead over a leg to `peer`.
  bool has_room(const Address& peer, bool ends_here) const;

  // A circuit with `far_end` that ends here. False if the number is taken or there is no room.
  bool add_end(std::uint32_t id, const Address& relay, const Address& far_end, TimePoint now);
  // A circuit that we pass on, agreed to by its ends. False likewise; both legs or none.
  bool add_passed_on(std::uint32_t id, const Address& peer, std::uint32_t onward_id,
                     const Address& onward_peer, TimePoint now);
  CircuitLeg* find(std::uint32_t id);
  const CircuitLeg* find(std::uint32_t id) const {
    return const_cast<CircuitTable*>(this)->find(id);
  }
  // Forgets the circuit; a relay's other leg with it.
  void erase(std::uint32_t id);
  // The same, once what its other end sent before it heard of that has come through.
  void retire(std::uint32_t id, TimePoint now);
  // Of these the ones whose time is over; whether there are more.
  bool forget_retired(TimePoint now);
  // Whether one packet more may be passed on from this leg; marks both legs as used.
  bool pass(CircuitLeg& leg, TimePoint now);

  // Numbers of the legs that were idle for too long, that we pass on between, that lead to `peer`,
  // or through which `far_end` speaks, in order.
  std::vector<std::uint32_t> idle(TimePoint now) const;
  std::vector<std::uint32_t> passed_on_legs() const;
  std::vector<std::uint32_t> with_peer(const Address& peer) const;
  std::vector<std::uint32_t> ends_with(const Address& far_end) const;
  std::size_t passed_on() const { return (legs_.size() - ends_) / 2; }
  std::size_t ends() const { return ends_; }
  // How busy we are as a relay, in percent: of the packets or of the circuits that we pass on.
  int load(TimePoint now) const;

 private:
  template <typename Wanted>
  std::vector<std::uint32_t> those(Wanted&& wanted) const;

  // Ordered: the same seed must give the same run.
  std::map<std::uint32_t, CircuitLeg> legs_;
  std::map<Address, std::size_t> legs_of_peer_;
  std::size_t ends_ = 0;
  const int leg_rate_;
  RateLimit rate_;
};

}  // namespace wow
