// What others ask of us as a relay: circuits to pass on. A request is passed to the far end, or to
// a second relay, and only when all behind us have agreed does a circuit exist. Everything is
// bounded for each peer; linking on purpose, which costs others something, most of all.
#pragma once

#include <map>
#include <set>

#include "overlay/circuit_messages.h"
#include "overlay/limits.h"
#include "overlay/rate_table.h"

namespace wow {

class CircuitRequests {
 public:
  explicit CircuitRequests(Hub& hub) : hub_(hub), timer_(hub.clock) {}
  void stop();
  // No more are taken, and the ends of those that we pass on are told to find another way; what
  // they still send is passed on. False: there are none.
  bool drain();

  void on_open(const Address& from, const pb::Circuit& message);
  void on_accept(const Address& from, std::uint32_t id);
  // A refusal, or the end of a circuit that we pass on.
  void on_close(const Address& from, const pb::Circuit& message);
  // A path of its session changed: maybe the one that somebody waits for.
  void on_path_changed(const Session& session);
  // Its session is gone, or has begun a new life. Whoever died (`dead`) is not linked with on
  // purpose.
  void on_lost(const Address& peer, bool dead);

  std::size_t size() const { return requests_.size(); }

 private:
  struct Request {
    Address from;
    CircuitOpen open;  // as it came
    Address to;        // whom we asked in turn; zero: nobody yet
    std::uint32_t onward_id = 0;
    bool linking = false;
    std::set<Address> seconds;  // second relays asked
    Address named;              // who is said to reach the far end
    TimePoint until{};
    TimePoint next{};  // another second relay then
  };
  using Requests = std::map<std::uint32_t, Request>;

  void refuse(const Address& from, const CircuitOpen& open, const Address& named = {});
  bool parse(const Address& from, const pb::Circuit& message, CircuitOpen* open);
  bool admit(const Address& from, const CircuitOpen& open);
  void step(Requests::iterator it);
  void wait_for_link(Requests::iterator it);
  void try_second(Requests::iterator it);
  Address next_second(const Request& request) const;
  void pass_on(Request& request, const Address& to, unsigned relays);
  void fail(Requests::iterator it);
  Requests::iterator by_onward(const Address& from, std::uint32_t id);
  void end_circuit(std::uint32_t id);
  void avoid_linking(const Address& peer);
  void forget_old();
  void wake(Duration in);
  void tick();

  Hub& hub_;
  Requests requests_;  // by the number of the leg they came on
  RateTable opens_{ring::kOpensPerSecond, ring::kOpensBurst};
  RateTable links_{ring::kPurposeLinks, ring::kPurposeLinksBurst};
  std::map<Address, TimePoint> unlinkable_;  // until when
  TimePoint swept_{};
  bool draining_ = false;
  Timer timer_;
};

}  // namespace wow
