// Direct paths through NATs that have another port for each destination: finds out how ours chooses
// them, tells the peer, and checks ports that the peer's may have (nat/punch_plan.h). Only while a
// session is open and carries traffic another way, only after the usual checks had their time, and
// never more than the peer has paid for: each report lets its receiver send three times its bytes.
#pragma once

#include <bitset>
#include <functional>
#include <map>

#include "nat/punch_plan.h"
#include "nat/reflexive.h"
#include "overlay/hub.h"
#include "overlay/limits.h"
#include "overlay/port_survey.h"
#include "overlay/rate_table.h"

namespace wow {

namespace pb {
class Ports;
}

class Punch {
 public:
  Punch(Hub& hub, const PunchBudget& budget, std::function<NatMapping()> mapping);
  void stop();

  // No direct path to this peer yet, though candidates are being checked; said again and again.
  void want(const Address& peer);
  void on_ports(Session& from, const pb::Ports& message);
  // At a socket that is not the node's own.
  void on_answer(MutableBytes packet, const Endpoint& from) { survey_.on_packet(packet, from); }
  void on_path_changed(const Session& session);
  void on_closed(const Address& peer) { attempts_.erase(peer); }
  void on_network_change();
  // Every now and then: closes sockets that no path needs.
  void sweep();

  std::size_t size() const { return attempts_.size(); }

 private:
  // One peer. It waits until `due`; tries up to kPunchTries times; then rests, or is forgotten.
  struct Attempt {
    enum class State : std::uint8_t { kWaiting, kSurveying, kTrying, kResting };
    State state = State::kWaiting;
    TimePoint due{};  // when this state has lasted long enough
    int tries = 0;
    PortReport own, peer;  // as known in this try, or told last
    TimePoint own_at{};
    std::optional<PunchPlan> plan;
    std::optional<PunchPlan::Step> step;  // the plan's next one, at step_at
    TimePoint step_at{};
    int credit = 0;        // checks that the peer has paid for
    int reports_left = 0;  // that we may send in this try; one of them at report_at
    std::optional<TimePoint> report_at;
  };

  bool is_hard() const { return mapping_() == NatMapping::kDependent; }
  bool is_public(const Address& peer) const;
  // Hundreds of a router's entries: for one peer at a time, and only if packets wait for it.
  bool may_open_many(const Address& peer) const;
  bool carries_traffic(const Address& peer) const;
  PortReport kept() const;
  Attempt* attempt_with(const Address& peer);
  void begin_try(Attempt& attempt);
  void on_surveyed(const PortReport& report);
  void on_report(const Address& peer, Attempt& attempt, bool news);
  void make_plan(const Address& peer, Attempt& attempt);
  void report(const Address& peer, Attempt& attempt);
  void rest(Attempt& attempt);
  void wake();
  void tick();
  bool advance(const Address& peer, Attempt& attempt);
  void probe(const Address& peer, Attempt& attempt);
  std::uint8_t fresh_socket();
  std::bitset<256> sockets_in_use() const;

  Hub& hub_;
  const PunchBudget budget_;
  const std::function<NatMapping()> mapping_;
  RateTable probes_, reports_{ring::kReportsPerPeer, ring::kReportsPerPeerBurst};
  std::map<Address, Attempt> attempts_;
  std::bitset<256> opened_;  // sockets that may be open
  int last_fresh_ = 0;
  PortSurvey survey_;
  PortReport random_;  // the last survey's, if ports are random: that is not asked again so soon
  TimePoint random_until_{};
  Timer timer_;
};

}  // namespace wow
