#include "overlay/relay_ways.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <limits>

namespace wow {
namespace {

using Cost = Duration::rep;
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property,
                                    boost::property<boost::edge_weight_t, Cost>>;
using Vertex = Graph::vertex_descriptor;

// Vertices are (node, links from the peer): the search runs from the peer's end, and ends two links
// away from it, so that one run tells the rest of the way of every first relay.
constexpr std::size_t kLayers = 3;  // 0, 1 and 2 links

class Layers {
 public:
  std::size_t number(const Address& node) {
    const auto [at, fresh] = numbers_.try_emplace(node, nodes_.size());
    if (fresh) nodes_.push_back(node);
    return at->second;
  }
  const std::vector<Address>& nodes() const { return nodes_; }
  static Vertex vertex(std::size_t number, std::size_t layer) { return number * kLayers + layer; }

 private:
  std::map<Address, std::size_t> numbers_;
  std::vector<Address> nodes_;
};

Cost cost_of(const RelayLink& link) {
  return (link.round_trip > Duration::zero() ? link.round_trip : kUnmeasuredLink).count();
}

}  // namespace

std::vector<RelayWay> relay_ways(const Address& self, const Address& peer,
                                 const std::vector<RelayLink>& links,
                                 const std::map<Address, Duration>& spared) {
  const auto relay_cost = [&](const Address& relay) {
    const auto found = spared.find(relay);
    return (kRelayCost + (found == spared.end() ? Duration() : found->second)).count();
  };
  Layers layers;
  const std::size_t end = layers.number(peer);
  std::map<Address, Cost> ours;
  Graph graph;
  const auto join = [&](const Address& from, const Address& to, Cost cost) {
    // Away from the peer: to whom it has a link, and once more.
    if (to == peer || to == self || from == self) return;
    const std::size_t a = layers.number(from), b = layers.number(to);
    const Cost all = cost + relay_cost(to);
    for (std::size_t layer = a == end ? 0 : 1; layer < (a == end ? 1 : kLayers - 1); ++layer)
      boost::add_edge(Layers::vertex(a, layer), Layers::vertex(b, layer + 1), all, graph);
  };
  for (const RelayLink& link : links) {
    const Cost cost = cost_of(link);
    for (const auto& [from, to] : {std::pair(link.a, link.b), std::pair(link.b, link.a)}) {
      if (from == self && to != peer) {
        const auto [at, fresh] = ours.try_emplace(to, cost);
        if (!fresh) at->second = std::min(at->second, cost);
      }
      join(from, to, cost);
    }
  }
  const std::size_t vertices = layers.nodes().size() * kLayers;
  while (boost::num_vertices(graph) < vertices) boost::add_vertex(graph);
  std::vector<Cost> distance(vertices);
  std::vector<Vertex> before(vertices);
  boost::dijkstra_shortest_paths(
      graph, Layers::vertex(end, 0),
      boost::predecessor_map(before.data()).distance_map(distance.data()));

  std::vector<RelayWay> out;
  for (const auto& [first, cost] : ours) {
    const std::size_t number = layers.number(first);
    if (number * kLayers >= vertices) continue;  // nobody says that it leads anywhere
    const Vertex one = Layers::vertex(number, 1), two = Layers::vertex(number, 2);
    const Vertex better = distance[one] <= distance[two] ? one : two;
    if (distance[better] == std::numeric_limits<Cost>::max()) continue;
    const Address second = better == one ? Address() : layers.nodes()[before[two] / kLayers];
    out.push_back({first, second, Duration(cost + distance[better])});
  }
  std::ranges::stable_sort(out, {}, &RelayWay::cost);
  return out;
}

}  // namespace wow
