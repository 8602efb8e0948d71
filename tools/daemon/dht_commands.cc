#include "tools/daemon/control_commands.h"
#include "tools/daemon/status.h"

namespace wow {

namespace json = boost::json;
using Access = ControlServer::Access;
using Reply = ControlServer::Reply;

namespace {

Dht::Done record_reply(Reply reply) {
  return [reply = std::move(reply)](const Result<DhtRecord>& record) {
    reply(record ? Result<json::object>(record_json(*record))
                 : Result<json::object>(record.error()));
  };
}

void dht(const ControlContext& c, const json::object& arguments, Reply reply) {
  const std::string op = argument(arguments, "op"), key = argument(arguments, "key"),
                    value = argument(arguments, "value");
  const json::value* seconds = arguments.if_contains("ttl");
  const Duration ttl =
      std::chrono::seconds(seconds && seconds->is_int64() ? seconds->get_int64() : 3600);
  const Dht::Done done = record_reply(std::move(reply));
  Dht& store = c.host.dht();
  if (op == "put") return store.put(key, view_of(value), ttl, done);
  if (op == "create") return store.create(key, view_of(value), ttl, done);
  if (op == "renew") return store.renew(key, ttl, done);
  if (op == "rm") return store.remove(key, done);
  done(Error{ErrorCode::kInvalidArgument, "the store knows put, create, renew and rm"});
}

// As get, but that nobody has the key is an answer, too.
void read(const ControlContext& c, const std::string& key, Reply reply) {
  c.host.dht().get(key, [reply = std::move(reply)](const Result<DhtRecord>& record) {
    if (!record && record.error().code != ErrorCode::kNotFound) return reply(record.error());
    reply(json::object{{"record", record ? json::value(record_json(*record)) : nullptr}});
  });
}

// Names are a courtesy: without leases the answer comes without them.
void reply_with_names(const ControlContext& c, json::object answer, Reply reply) {
  all_leases(c, [answer = std::move(answer), reply = std::move(reply)](auto rows) mutable {
    json::object names;
    if (rows) {
      for (const LeaseRow& row : *rows) names[row.node.hex()] = row.name;
    }
    answer["names"] = std::move(names);
    reply(std::move(answer));
  });
}

void stat(const ControlContext& c, const json::object& arguments, Reply reply) {
  if (!arguments.contains("key")) {
    return reply_with_names(c, dht_json(c.host.dht().status()), std::move(reply));
  }
  const std::string key = argument(arguments, "key");
  c.host.dht().stat(key, [&c, key, reply = std::move(reply)](const Result<DhtStat>& stat) {
    if (!stat) return reply(stat.error());
    reply_with_names(c, stat_json(key, *stat), reply);
  });
}

}  // namespace

void add_dht_control_commands(ControlServer& server, const ControlContext& context) {
  const ControlContext* c = &context;
  server.handle("dht-get", Access::kRead, [c](const json::object& a, const Reply& reply) {
    c->host.dht().get(argument(a, "key"), record_reply(reply));
  });
  server.handle("dht-read", Access::kRead, [c](const json::object& a, Reply reply) {
    read(*c, argument(a, "key"), std::move(reply));
  });
  server.handle("dht-stat", Access::kRead,
                [c](const json::object& a, Reply reply) { stat(*c, a, std::move(reply)); });
  server.handle("dht", Access::kChange,
                [c](const json::object& a, Reply reply) { dht(*c, a, std::move(reply)); });
}

}  // namespace wow
