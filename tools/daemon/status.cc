#include "tools/daemon/status.h"

#include <algorithm>

#include "tunnel/frame_headers.h"

namespace wow {

namespace json = boost::json;

json::object counters_json(const Metrics& metrics) {
  json::object out;
  for (std::size_t i = 0; i < kMetricCount; ++i) {
    out[kMetricInfos[i].name] = metrics.total(static_cast<Metric>(i));
  }
  return out;
}

std::string counters_prometheus(const Metrics& metrics, const std::string& pool) {
  std::string out;
  for (std::size_t i = 0; i < kMetricCount; ++i) {
    const std::string name = "wow_" + std::string(kMetricInfos[i].name) + "_total";
    out += "# HELP " + name + " " + std::string(kMetricInfos[i].help) + "\n# TYPE " + name +
           " counter\n";
    out += name + "{pool=\"" + pool + "\"} " +
           std::to_string(metrics.total(static_cast<Metric>(i))) + "\n";
  }
  return out;
}

namespace {

std::string name_of(const Address& node, const NodeNames& names) {
  const auto found = names.find(node);
  return found == names.end() || found->second.name.empty() ? node.short_hex() : found->second.name;
}

// A relay has a name, as any other member.
std::string path_text(const Path& path, const NodeNames& names,
                      const std::function<std::string(const Endpoint&)>& via) {
  if (path.is_stream() && via) {
    const std::string through = via(path.endpoint);
    std::string text = path.text();
    return through.empty() ? text : text.insert(text.size() - 1, " " + through);
  }
  return path.is_relayed() ? "relayed via " + name_of(path.via, names) : path.text();
}

std::string milliseconds_text(Duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d + 500us).count();
  return ms > 0 ? std::to_string(ms) + " ms" : "below 1 ms";
}

// How a peer is reached that is not reached by direct UDP.
std::string way_text(const EdgeInfo& edge, const NodeNames& names) {
  const Path& path = edge.path;
  if (edge.stream) return path.endpoint.carrier == Carrier::kTls ? "TLS stream" : "TCP stream";
  if (!edge.relayed) return "routed along the ring";
  return "relayed by " + name_of(path.via, names) + ", " + milliseconds_text(edge.round_trip);
}

json::value why_not_better_json(const EdgeInfo& edge, const NodeNames& names) {
  const std::string why = to_text(edge.why_not, edge.tries);
  if (why.empty()) return nullptr;
  return json::string(why + ": " + way_text(edge, names));
}

// The largest packet of the virtual network that the path carries uncut.
json::value inner_mtu(const EdgeInfo& edge) {
  if (edge.datagram_max == 0) return nullptr;
  return edge.datagram_max - kDataOverheadBytes - kEthernetHeaderBytes;
}

}  // namespace

json::array peers_json(const std::vector<EdgeInfo>& edges, const NodeNames& names,
                       const std::function<std::string(const Endpoint&)>& via) {
  json::array out;
  for (const EdgeInfo& edge : edges) {
    json::array roles;
    for (const EdgeRole role : edge.roles) roles.emplace_back(to_string(role));
    json::object row{{"address", edge.peer.hex()},
                     {"roles", std::move(roles)},
                     {"direct", edge.direct},
                     {"stream", edge.stream},
                     {"relayed", edge.relayed},
                     {"path", path_text(edge.path, names, via)},
                     {"round_trip", to_seconds(edge.round_trip)},
                     {"loss", edge.loss},
                     {"mtu", inner_mtu(edge)},
                     {"path_for", to_seconds(edge.path_for)},
                     {"why_not_better", why_not_better_json(edge, names)},
                     {"open_for", to_seconds(edge.open_for)},
                     {"bytes_in", edge.bytes_in},
                     {"bytes_out", edge.bytes_out}};
    if (const auto found = names.find(edge.peer); found != names.end()) {
      row["name"] = found->second.name;
      row["ip"] = found->second.ip.text();
    }
    out.push_back(std::move(row));
  }
  return out;
}

namespace {

json::array addresses_json(const std::vector<Address>& addresses) {
  json::array out;
  for (const Address& address : addresses) out.emplace_back(address.hex());
  return out;
}

}  // namespace

json::object dht_json(const DhtStatus& status) {
  const auto& ago = status.lineage_lost_ago;
  return {{"lineage", status.lineage},
          {"epoch", status.epoch},
          {"founder", status.founder.hex()},
          {"member", status.member},
          {"serving", status.serving},
          {"members", addresses_json(status.members)},
          {"shards", status.shards},
          {"groups_known", status.groups_known},
          {"groups_held", status.groups_held},
          {"groups_serving", status.groups_serving},
          {"groups_unavailable", status.groups_unavailable},
          {"records", status.records},
          {"lineages_lost", status.lineages_lost},
          {"lineage_lost_ago", ago ? json::value(to_seconds(*ago)) : nullptr}};
}

json::array trace_json(const std::vector<TraceStep>& steps, const NodeNames& names) {
  json::array out;
  for (const TraceStep& step : steps) {
    const bool answered = step.round_trip > Duration::zero();
    std::string why(to_string(step.reason));
    if (step.relayed) why += ", by circuit";
    json::object row{
        {"address", step.node.is_zero() ? json::value(nullptr) : json::value(step.node.hex())},
        {"round_trip", answered ? json::value(to_seconds(step.round_trip)) : nullptr},
        {"why", step.reason == HopReason::kNone ? json::value(nullptr) : json::value(why)}};
    if (const auto found = names.find(step.node); found != names.end())
      row["name"] = found->second.name;
    out.push_back(std::move(row));
  }
  return out;
}

json::array trace_json(const Session& session, const NodeNames& names, Duration relay,
                       const SecondRelay& second) {
  const PathState& state = session.path();
  const auto hop = [&](const Address& node, Duration round_trip, const std::string& why) {
    json::object row{
        {"address", node.hex()},
        {"round_trip",
         round_trip > Duration::zero() ? json::value(to_seconds(round_trip)) : nullptr},
        {"why", why}};
    if (const auto found = names.find(node); found != names.end()) row["name"] = found->second.name;
    return row;
  };
  if (!state.path.is_relayed())
    return {hop(session.peer(), state.round_trip, "direct: " + state.path.text())};
  const bool chose = second.is && second.node.is_zero();
  json::array out{hop(state.path.via, relay,
                      chose ? "relay: its circuit leads to the target through one more, its choice"
                            : "relay: its circuit leads to the target")};
  if (second.is && !chose)
    out.push_back(hop(second.node,
                      second.beyond > Duration::zero() ? relay + second.beyond : Duration::zero(),
                      "second relay: the first was asked to go through it"));
  out.push_back(hop(session.peer(), state.round_trip, "end of the circuit"));
  return out;
}

json::object stat_json(const std::string& key, const DhtStat& stat) {
  const auto& answered = stat.coordinator;
  return {{"key", key},
          {"shard", stat.shard},
          {"lineage", stat.lineage},
          {"epoch", stat.epoch},
          {"founder", stat.founder.hex()},
          {"members", addresses_json(stat.members)},
          {"available", answered.has_value()},
          {"coordinator", answered ? json::value(answered->hex()) : nullptr},
          {"holder", stat.holder ? json::value(record_json(*stat.holder)) : nullptr}};
}

json::object record_json(const DhtRecord& record) {
  const bool text = std::all_of(record.data.begin(), record.data.end(),
                                [](auto b) { return b >= 0x20 && b < 0x7f; });
  return {{"key", record.key},
          {"value", text ? to_string(record.data) : to_hex(record.data)},
          {"encoding", text ? "text" : "hex"},
          {"owner", record.owner.hex()},
          {"version", record.version},
          {"ttl", to_seconds(record.ttl)},
          {"age", to_seconds(record.age)}};
}

json::array leases_json(const std::vector<LeaseRow>& rows) {
  json::array out;
  for (const LeaseRow& row : rows) {
    out.push_back(json::object{{"ip", row.ip.text()},
                               {"ip6", row.ip6.is_unspecified() ? "" : row.ip6.text()},
                               {"name", row.name},
                               {"node", row.node.hex()},
                               {"ttl_left", to_seconds(row.ttl_left)}});
  }
  return out;
}

}  // namespace wow
