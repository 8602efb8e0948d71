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

// A relay has a name, as any other member.
std::string path_text(const Path& path, const NodeNames& names,
                      const std::function<std::string(const Endpoint&)>& via) {
  if (path.is_stream() && via) {
    const std::string through = via(path.endpoint);
    std::string text = path.text();
    return through.empty() ? text : text.insert(text.size() - 1, " " + through);
  }
  const auto relay = names.find(path.via);
  if (!path.is_relayed() || relay == names.end() || relay->second.name.empty()) return path.text();
  return "relayed via " + relay->second.name;
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
                               {"name", row.name},
                               {"node", row.node.hex()},
                               {"ttl_left", to_seconds(row.ttl_left)}});
  }
  return out;
}

}  // namespace wow
