#include "tools/daemon/control_commands.h"

#include "dht/inner_ipv6.h"
#include "proto/vnet.pb.h"
#include "tap/names.h"
#include "tools/daemon/status.h"

namespace wow {

namespace json = boost::json;
using Access = ControlServer::Access;
using Reply = ControlServer::Reply;

void all_leases(const ControlContext& c, std::function<void(Result<std::vector<LeaseRow>>)> done) {
  if (c.host_side) return c.host_side->network().leases(std::move(done));
  const Prefix subnet6 = inner_ipv6_prefix(c.host.credentials().pool_key());
  c.host.dht().list(
      "ip/", {}, [done, subnet6](Result<std::vector<DhtRecord>> records, const Bytes&) {
        if (!records) return done(records.error());
        std::vector<LeaseRow> rows;
        for (const DhtRecord& record : *records) {
          const auto lease = parse_lease(record);
          if (!lease) continue;
          const bool guest = lease->mac.value_or(mac_of(record.owner)) != mac_of(record.owner);
          rows.push_back({lease->ip, lease->name, record.owner, record.ttl - record.age,
                          guest ? IpAddress() : inner_ipv6(subnet6, record.owner)});
        }
        done(std::move(rows));
      });
}

namespace {

constexpr Duration kEchoLimit = 2s;

std::string ring_state(const Node& node) {
  if (node.alone()) return "alone (no other member answered yet)";
  return node.joined() ? "joined" : "joining";
}

json::object status_json(const ControlContext& c) {
  const pb::Settings& settings = c.host.settings();
  const Node& node = c.host.node();
  std::int64_t edges = 0;
  for (const EdgeInfo& edge : node.edges()) edges += !edge.roles.empty();
  json::object out{{"pool", settings.name()},
                   {"subnet", settings.subnet()},
                   {"settings", settings.number()},
                   {"address", node.address().hex()},
                   {"router", c.host_side == nullptr},
                   {"port", c.host.port()},
                   {"joined", node.joined()},
                   {"alone", node.alone()},
                   {"ring_state", ring_state(node)},
                   {"edges", edges},
                   {"size_estimate", std::round(node.size_estimate())},
                   {"nat_mapping", to_string(node.nat_mapping())},
                   {"nat_kept_open_each_s", to_seconds(node.flow_keepalive())},
                   {"port_mapping", c.mapping ? c.mapping->state() : "off"},
                   {"up_for", to_seconds(c.host.clock().now() - c.started)},
                   {"dht", dht_json(c.host.dht().status())},
                   {"counters", counters_json(c.host.metrics())}};
  if (const auto& seen = c.host.copy_seen()) {
    out["copy_seen_ago"] = to_seconds(c.host.clock().now() - *seen);
  }
  if (c.host_side) {
    out["interface"] = c.host_side->interface();
    if (const auto bridge = c.host_side->network().bridge()) {
      out["bridge"] = json::object{{"interface", c.options.bridge},
                                   {"guests", bridge->guests},
                                   {"others", bridge->others},
                                   {"blocked", bridge->blocked}};
    }
    out["lease_state"] = c.host_side->lease_state();
    if (const auto& lease = c.host_side->network().lease()) {
      out["lease"] =
          json::object{{"ip", lease->ip.text()},
                       {"ip6", lease->ip6.text()},
                       {"name", lease->name},
                       {"expires_in", to_seconds(lease->expires - c.host.clock().now())}};
    }
  }
  return out;
}

// The store, which knows names, takes round trips.
void peers(const ControlContext& c, bool with_names, Reply reply) {
  const auto answer = [&c, reply](const NodeNames& names) {
    const auto via = [&c](const Endpoint& far) { return c.host.streams().via(far); };
    reply(json::object{{"peers", peers_json(c.host.node().edges(), names, via)},
                       {"ring_state", ring_state(c.host.node())}});
  };
  if (!with_names) return answer({});
  // Names are a courtesy: without the store the table comes without them.
  all_leases(c, [answer](Result<std::vector<LeaseRow>> rows) {
    NodeNames names;
    if (rows) {
      for (const LeaseRow& row : *rows) {
        if (!row.ip6.is_unspecified()) names.emplace(row.node, row);
      }
    }
    answer(names);
  });
}

void resolve(const ControlContext& c, const std::string& host, Reply reply) {
  all_leases(c, [host, reply,
                 suffix = "." + c.options.pool + ".internal"](Result<std::vector<LeaseRow>> rows) {
    if (!rows) return reply(rows.error());
    for (const LeaseRow& row : *rows) {
      const bool six = !row.ip6.is_unspecified() && host == row.ip6.text();
      if (six || host == row.ip.text() || host == row.name || host == row.name + suffix) {
        return reply(
            json::object{{"ip", row.ip.text()}, {"name", row.name}, {"node", row.node.hex()}});
      }
    }
    reply(Error{ErrorCode::kNotFound,
                "nobody in the pool is called " + host + ": `wow leases` lists who is there"});
  });
}

void echo(const ControlContext& c, const std::string& node, Reply reply) {
  const auto address = Address::from_hex(node);
  if (!address) return reply(Error{ErrorCode::kInvalidArgument, "a node's address has 40 digits"});
  if (!c.host_side)
    return reply(Error{ErrorCode::kInvalidArgument,
                       "a router has no virtual interface to ping from: use a host"});
  c.host_side->network().echo(
      *address, kEchoLimit, [&c, address, reply](Result<Duration> round_trip) {
        if (!round_trip) return reply(round_trip.error());
        Session* session = c.host.node().session(*address);
        reply(json::object{{"round_trip", to_seconds(*round_trip)},
                           {"path", session ? session->path().path.text() : "local"}});
      });
}

// The path in use if there is one past the ring; else the ring is asked, hop by hop.
void trace(const ControlContext& c, const std::string& node, Reply reply) {
  const auto target = Address::from_hex(node);
  if (!target) return reply(Error{ErrorCode::kInvalidArgument, "a node's address has 40 digits"});
  if (*target == c.host.node().address())
    return reply(Error{ErrorCode::kInvalidArgument, "that is this machine: there is no way to it"});
  all_leases(c, [&c, target, reply](const Result<std::vector<LeaseRow>>& rows) {
    NodeNames names;
    if (rows) {
      for (const LeaseRow& row : *rows) names.emplace(row.node, row);
    }
    const auto answer = [reply](const char* way, bool arrived, json::array hops) {
      reply(json::object{{"way", way}, {"arrived", arrived}, {"hops", std::move(hops)}});
    };
    Node& overlay = c.host.node();
    const Session* session = overlay.session(*target);
    if (session != nullptr && session->is_direct())
      return answer("direct", true, trace_json(*session, names));
    if (session != nullptr && session->is_relayed()) {
      const Path& path = session->path().path;
      const Session* relay = overlay.session(path.via);
      return answer("relayed", true,
                    trace_json(*session, names, relay ? relay->path().round_trip : Duration(),
                               overlay.second_relay(path.circuit)));
    }
    overlay.trace(*target, [=](const std::vector<TraceStep>& steps) {
      const bool arrived = !steps.empty() && steps.back().node == *target;
      answer("ring", arrived, trace_json(steps, names));
    });
  });
}

void members(const ControlContext& c, Reply reply) {
  c.host.dht().list("node/", {}, [reply](Result<std::vector<DhtRecord>> records, const Bytes&) {
    if (!records) return reply(records.error());
    json::array out;
    for (const DhtRecord& record : *records) {
      pb::NodeRecord node;
      if (!node.ParseFromArray(record.data.data(), static_cast<int>(record.data.size()))) continue;
      out.push_back(json::object{{"address", record.owner.hex()},
                                 {"name", node.name()},
                                 {"invite", to_hex(view_of(node.invite_id()))},
                                 {"router", node.router()}});
    }
    reply(json::object{{"members", std::move(out)}});
  });
}

}  // namespace

void add_control_commands(ControlServer& server, const ControlContext& context) {
  const ControlContext* c = &context;
  server.handle("status", Access::kRead,
                [c](const json::object&, Reply reply) { reply(status_json(*c)); });
  server.handle("metrics", Access::kRead, [c](const json::object&, Reply reply) {
    reply(json::object{{"text", counters_prometheus(c->host.metrics(), c->options.pool)}});
  });
  server.handle("peers", Access::kRead, [c](const json::object& a, Reply reply) {
    const json::value* names = a.if_contains("names");
    peers(*c, !names || *names != json::value(false), std::move(reply));
  });
  server.handle("members", Access::kRead,
                [c](const json::object&, Reply reply) { members(*c, std::move(reply)); });
  server.handle("leases", Access::kRead, [c](const json::object&, const Reply& reply) {
    all_leases(*c, [reply](Result<std::vector<LeaseRow>> rows) {
      reply(rows ? Result<json::object>(json::object{{"leases", leases_json(*rows)}})
                 : Result<json::object>(rows.error()));
    });
  });
  server.handle("resolve", Access::kRead, [c](const json::object& a, Reply reply) {
    resolve(*c, argument(a, "host"), std::move(reply));
  });
  server.handle("echo", Access::kRead, [c](const json::object& a, Reply reply) {
    echo(*c, argument(a, "node"), std::move(reply));
  });
  server.handle("trace", Access::kRead, [c](const json::object& a, Reply reply) {
    trace(*c, argument(a, "node"), std::move(reply));
  });
  server.handle("settings", Access::kChange, [c](const json::object& a, const Reply& reply) {
    const auto bytes = from_hex(argument(a, "signed_settings"));
    if (!bytes)
      return reply(Error{ErrorCode::kInvalidArgument, "the settings are not hexadecimal"});
    const auto adopted = c->host.adopt(*bytes);
    reply(adopted ? Result<json::object>(json::object{}) : Result<json::object>(adopted.error()));
  });
  server.handle("release", Access::kChange, [c](const json::object&, const Reply& reply) {
    if (!c->host_side) return reply(json::object{});
    c->host_side->network().release([reply] { reply(json::object{}); });
  });
  add_dht_control_commands(server, context);
  server.handle("down", Access::kChange, [c](const json::object&, const Reply& reply) {
    reply(json::object{});
    c->stop();
  });
}

}  // namespace wow
