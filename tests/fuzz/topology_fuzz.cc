// Topology files of the laboratory: what is read, and fits together, is read back from its own
// JSON; no ruleset is unbalanced.
#include <algorithm>
#include <boost/json/serialize.hpp>

#include "tests/fuzz/fuzz.h"
#include "tools/lab/router_rules.h"
#include "tools/lab/topology.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wow;
  const auto read = lab::Topology::parse(text_of({data, size}));
  if (!read) {
    assert(!read.error().message.empty());
    return 0;
  }
  const auto whole = lab::Topology().with(*read);
  if (!whole) return 0;
  const auto again = lab::Topology::parse(boost::json::serialize(whole->to_json()));
  assert(again && again->hosts == whole->hosts && again->sites.size() == whole->sites.size());
  for (const auto& [name, site] : whole->sites) {
    const std::string rules = lab::nft_rules(site);
    assert(std::count(rules.begin(), rules.end(), '{') ==
           std::count(rules.begin(), rules.end(), '}'));
  }
  return 0;
}
