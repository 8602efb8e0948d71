#include "tests/dht/pool_view.h"

namespace wow {

LineageName lineage_of(const DhtStatus& status) { return {status.lineage, status.founder}; }

std::string states_text(FakePool& pool) {
  std::string out;
  for (int node = 0; node < pool.size(); ++node) {
    if (!pool.is_up(node)) continue;
    const auto status = pool.dht(node).status();
    out += "\n  node " + std::to_string(node) + " (" + pool.address(node).short_hex() +
           "): lineage " + std::to_string(status.lineage) + " of " + status.founder.short_hex() +
           ", epoch " + std::to_string(status.epoch) + (status.serving ? ", serves:" : ":");
    for (const auto& member : status.members) out += " " + std::to_string(pool.node_of(member));
  }
  return out;
}

bool is_resolved_everywhere(FakePool& pool) {
  DhtStatus newest = pool.dht(0).status();
  std::size_t serving = 0;
  for (int node = 0; node < pool.size(); ++node) {
    auto status = pool.dht(node).status();
    if (status.lineage == 0 || lineage_of(status) != lineage_of(newest)) return false;
    if (status.epoch > newest.epoch) {
      newest = std::move(status);
      serving = 0;
      node = -1;
    } else {
      serving += status.epoch == newest.epoch && status.serving;
    }
  }
  return serving > newest.members.size() / 2;
}

}  // namespace wow
