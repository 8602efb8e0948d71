// One message to everybody, in a quiet ring and while nodes die.
#include <algorithm>
#include <map>
#include <string>

#include "tools/sim/scenario.h"

namespace wow {
namespace {

constexpr Duration kSpreads = 20s;

// Who got the message how often, and over how many hops at most.
struct Copies {
  std::map<const SimNode*, int> of;
  std::uint32_t deepest = 0;
};

// Sends one; `meanwhile` happens when it is on its way. The origin is not counted.
Copies broadcast(SimRun& run, const std::function<void(const SimNode& origin)>& meanwhile) {
  Copies copies;
  SimNode& origin = run.any();
  for (SimNode* m : run.pool.ring()) {
    m->node->set_broadcast_handler(Service::kUserFirst,
                                   [&copies, m](const Address&, ByteView, std::uint32_t hops) {
                                     ++copies.of[m];
                                     copies.deepest = std::max(copies.deepest, hops);
                                   });
  }
  origin.node->broadcast(Service::kUserFirst, Bytes(200));
  meanwhile(origin);
  run.run_for(kSpreads);
  for (SimNode* m : run.pool.ring()) m->node->set_broadcast_handler(Service::kUserFirst, {});
  copies.of.erase(&origin);
  return copies;
}

// The part of all running nodes but the origin that got it, and the most copies at one.
void report(SimRun& run, const std::string& when, const Copies& copies, double wanted) {
  double reached = 0, most = 0;
  for (const SimNode* m : run.pool.ring()) {
    const auto found = copies.of.find(m);
    if (found == copies.of.end()) continue;
    ++reached;
    most = std::max<double>(most, found->second);
  }
  const auto others = static_cast<double>(run.pool.ring().size() - 1);
  run.report.at_least(when + ": nodes reached", reached / others, wanted);
  run.report.at_most(when + ": copies delivered at one node", most, 1);
}

}  // namespace

void run_broadcast(SimRun& run) {
  const double depth_wanted = run.nodes <= 256 ? 10 : 17;  // at 256 and at 10,000 nodes
  run.grow_ring(run.nodes);
  run.run_for(1min);
  const Copies quiet = broadcast(run, [](const SimNode&) {});
  report(run, "quiet", quiet, 1);
  run.report.at_most("hops, most", quiet.deepest, depth_wanted);
  run.run_for(20s);
  const double part = run.option_part(0.1);
  const Copies dying = broadcast(run, [&](const SimNode& origin) {
    const auto victims = static_cast<std::size_t>(static_cast<double>(run.nodes) * part);
    for (std::size_t i = 0; i < victims; ++i) {
      SimNode& victim = run.any();
      if (&victim != &origin) run.pool.crash(victim);
      if (i % 10 == 0) run.run_for(50ms);
    }
  });
  report(run, "while some die", dying, 0.999);
}

}  // namespace wow
