// The store: groups, registers and signed values by themselves, then three whole nodes that hear
// messages from each other and from a fourth, with time passing and nodes failing in between.
#include "base/log.h"
#include "dht/record.h"
#include "dht/register.h"
#include "tests/dht/bench.h"
#include "tests/fuzz/fuzz.h"

namespace wow {
namespace {

constexpr int kStepsMax = 40;

void group(const Bytes& bytes) {
  pb::Group wire;
  if (!read_message(wire, bytes)) return;
  const auto parsed = dht::Group::parse(wire);
  if (!parsed) return;
  assert(parsed->members.size() <= dht::kGroupMembersMax);
  assert(dht::Group::parse(parsed->to_wire()) == parsed);
}

void state(const Bytes& bytes) {
  pb::Register wire;
  if (!read_message(wire, bytes)) return;
  const auto parsed = dht::Register::parse(wire);
  if (!parsed) return;
  assert(parsed->floors.size() <= dht::kVersionFloorsMax);
  assert(dht::Register::parse(parsed->to_wire(wire.key(), TimePoint{}, true)));
}

void record(const Bytes& bytes) {
  pb::Record wire;
  if (!read_message(wire, bytes)) return;
  Bench bench;
  const auto value = dht::Value::parse(wire);
  if (!value) return;
  assert(value->data.size() <= kDhtValueBytesMax);
  (void)bench.checker.authentic(wire, *value);
  (void)bench.checker.objection(*value, wire);
}

// A record in it that parses is signed anew by its owner, if that is one of the pool.
void sign(pb::Record& record, FakePool& pool) {
  const auto value = dht::Value::parse(record);
  const int owner = value ? pool.node_of(value->owner) : -1;
  if (owner >= 0) record = dht::sign_record(pool.credentials(owner), *value);
}

// A message as a member might have sent it: of the epoch that there is.
void tell(FakePool& pool, Choices& in) {
  const int from = static_cast<int>(in.below(4)), to = static_cast<int>(in.below(3));
  const bool is_raw = in.byte() % 8 == 0;
  const Bytes bytes = in.some();
  pb::DhtMessage message;
  if (is_raw || !read_message(message, bytes)) return pool.inject(from, to, bytes);
  if (message.has_client_request()) sign(*message.mutable_client_request()->mutable_record(), pool);
  if (message.has_accept()) sign(*message.mutable_accept()->mutable_record(), pool);
  const auto status = pool.dht(0).status();
  message.set_lineage(status.lineage);
  message.set_founder(to_string(status.founder.bytes()));
  const auto entry = pool.store(from).entries.find("incarnation");
  if (entry != pool.store(from).entries.end()) {
    message.set_incarnation(get_big_endian(entry->second.data(), 8));
  }
  pool.inject(from, to, view_of(message.SerializeAsString()));
}

void whole_nodes(Choices& in) {
  DhtOptions options;
  options.founder = FakeCredentials::address_of(1);
  options.records_max = 50;
  FakePool pool(in.byte(), options);
  pool.add_all(3);
  pool.run_for(3s);
  pool.add();
  for (int step = 0; step < kStepsMax && !in.is_over(); ++step) {
    const int node = static_cast<int>(in.below(3));
    switch (in.byte() % 8) {
      case 0:
        pool.run_for(std::chrono::milliseconds(in.number(2)));
        break;
      case 1:
        pool.loss = in.byte() / 512.0;
        break;
      case 2:
        pool.restart(node, in.byte() % 4 != 0);
        break;
      case 3:
        pool.dht(node).create(to_string(in.some()), in.some(), 10s, [](auto) {});
        break;
      case 4:
        pool.dht(node).list(to_string(in.some()), in.some(), [](auto, auto) {});
        break;
      default:
        tell(pool, in);
    }
  }
  pool.run_for(6s);
  for (int node = 0; node < pool.size(); ++node) {
    assert(pool.dht(node).status().records <= options.records_max);
    assert(pool.store(node).entries.size() < 1000);
  }
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::set_log_sink([](auto, const auto&) {});
  wow::Choices in(data, size);
  switch (in.byte() % 8) {
    case 0:
      wow::group(in.rest());
      break;
    case 1:
      wow::state(in.rest());
      break;
    case 2:
      wow::record(in.rest());
      break;
    default:
      wow::whole_nodes(in);
  }
  return 0;
}
