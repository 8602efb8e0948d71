#include "nat/families.h"

#include <algorithm>

namespace wow {

std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& endpoints) {
  std::vector<Endpoint> out = endpoints;
  if (out.empty()) return out;
  bool v4 = out.front().ip.is_v4();
  for (auto next = out.begin(); next != out.end(); ++next, v4 = !v4) {
    const auto found =
        std::find_if(next, out.end(), [&](const Endpoint& e) { return e.ip.is_v4() == v4; });
    if (found == out.end()) break;
    std::rotate(next, found, found + 1);
  }
  return out;
}

}  // namespace wow
