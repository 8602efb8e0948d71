#include "tools/daemon/status.h"

#include <algorithm>

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
std::string path_text(const Path& path, const NodeNames& names) {
  const auto relay = names.find(path.via);
  if (!path.is_relayed() || relay == names.end() || relay->second.name.empty()) return path.text();
  return "relayed via " + relay->second.name;
}

}  // namespace

json::array peers_json(const std::vector<EdgeInfo>& edges, const NodeNames& names) {
  json::array out;
  for (const EdgeInfo& edge : edges) {
    json::array roles;
    for (const EdgeRole role : edge.roles) roles.emplace_back(to_string(role));
    json::object row{{"address", edge.peer.hex()},
                     {"roles", std::move(roles)},
                     {"direct", edge.direct},
                     {"relayed", edge.relayed},
                     {"path", path_text(edge.path, names)},
                     {"round_trip", to_seconds(edge.round_trip)},
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

json::object dht_json(const DhtStatus& status) {
  json::array members;
  for (const Address& member : status.members) members.emplace_back(member.hex());
  return {{"lineage", status.lineage},       {"epoch", status.epoch},
          {"founder", status.founder.hex()}, {"member", status.member},
          {"serving", status.serving},       {"records", status.records},
          {"members", std::move(members)}};
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
