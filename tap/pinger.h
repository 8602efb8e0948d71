// Round trips through the overlay alone (pb::Echo), whatever the host's own network stack does.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/address.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "proto/vnet.pb.h"

namespace wow {

class Pinger {
 public:
  static constexpr std::size_t kPendingMax = 256;

  using Done = std::function<void(Result<Duration>)>;

  Pinger(Clock& clock, Random& random,
         std::function<void(const Address& to, const pb::VnetMessage&)> send);

  // kUnavailable after `limit`.
  void echo(const Address& node, Duration limit, Done done);
  void on_echo(const Address& from, const pb::Echo& echo);

 private:
  struct Pending {
    Pending(Clock& clock, const Address& node, Done done)
        : node(node), sent(clock.now()), done(std::move(done)), limit(clock) {}
    Address node;
    TimePoint sent;
    Done done;
    Timer limit;
  };

  void finish(std::uint64_t id, Result<Duration> result);

  Clock& clock_;
  Random& random_;
  std::function<void(const Address& to, const pb::VnetMessage&)> send_;
  std::map<std::uint64_t, std::unique_ptr<Pending>> pending_;
};

}  // namespace wow
