// The grid: every kind of network against every other, which pairs talk, how, and after what time.
// Kinds, results, and how they are shown; no kernel.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tools/lab/topology.h"

namespace wow::lab {

// Where a host of the grid may be.
struct GridKind {
  std::string name;
  std::string about;
  std::string site;  // its fields in a topology file
  // NAT behind NAT: the site above it.
  std::string carrier = {};
  bool shared = false;  // both hosts are in one site of this kind; it is paired with itself only
  std::string up = {};  // more words for `wow up`; PROXY stands for the proxy's address
};

const std::vector<GridKind>& grid_kinds();
// Comma-separated names; empty: all. The error names the word.
Result<std::vector<GridKind>> parse_grid_kinds(const std::string& names);
// Proxies of the grid, on the last of its routers: one without a password, one with "lab:secret".
inline constexpr int kGridProxyPort = 3128;
inline constexpr int kGridPasswordProxyPort = 3129;
// Each with each, both orders; a shared kind with itself.
std::vector<std::pair<GridKind, GridKind>> grid_pairs(const std::vector<GridKind>& kinds);
// Each sends to this one.
std::vector<std::pair<GridKind, GridKind>> grid_pairs(const std::vector<GridKind>& kinds,
                                                      const GridKind& against);

// One way, between any two of the hosts: half of it on each one's line.
inline constexpr int kGridDelayMs = 20;
// Hosts `a` and `b`, in sites of these kinds.
Topology grid_topology(const GridKind& a, const GridKind& b);
// Public members `r1` to `rN`, dual-stack.
Topology grid_routers(std::size_t count);

// What became of one pair, when `from` began to send.
struct GridRow {
  std::string from, to;
  // At the end: direct, stream, relayed or routed; or "unmeasured".
  std::string path = "unreachable";
  std::optional<double> ring_ms;     // a round trip between both along the ring, before that
  std::optional<double> first_ms;    // until the first packet was there; from the first sent
  std::optional<double> relayed_ms;  // until neither end's path led along the ring any more; none
                                     // if it never was a relay's
  std::optional<double> direct_ms;   // until both ends used a direct path, or a stream
  int sent = 0, lost = 0;            // packets, 20 ms apart
  std::uint64_t checks = 0;          // sent by both to find and keep paths, meanwhile
  std::string note;                  // why there is nothing, or what else to know

  boost::json::object to_json() const;
  static std::optional<GridRow> from_json(const boost::json::object& object);
};

// One line a pair.
std::string grid_table(const std::vector<GridRow>& rows, bool colour);
// How many pairs ended on which kind of path, the worst times, and how many round trips of the ring
// they are.
std::string grid_summary(const std::vector<GridRow>& rows);
// A heat map: a square for each pair, rows send.
std::string grid_svg(const std::vector<GridRow>& rows);

}  // namespace wow::lab
