// Whole nodes: the input is what strangers send, what members say inside their sessions, which
// links and nodes fail, and how time passes. Nothing crashes, and no table outgrows its bound.
#include "base/log.h"
#include "overlay/limits.h"
#include "tests/fuzz/fuzz.h"
#include "tools/sim/sim_pool.h"
#include "tunnel/handshake_codec.h"

namespace wow {
namespace {

constexpr std::size_t kMembers = 4;
constexpr int kStepsMax = 60;

class Play {
 public:
  explicit Play(std::uint64_t seed)
      : world_(seed), pool_(world_), stranger_(world_.add_host("203.0.113.66")) {
    for (std::size_t i = 0; i < kMembers; ++i) {
      pool_.add(world_.add_host("198.51.100." + std::to_string(i + 1)));
    }
    world_.run_for(3s);
  }

  void step(Choices& in) {
    SimNode& member = pool_[in.below(kMembers)];
    SimNode& other = pool_[in.below(kMembers)];
    switch (in.byte() % 12) {
      case 0:
        return world_.run_for(std::chrono::milliseconds(in.number(2)));
      case 1:
        return fail(member, other, in.byte());
      case 2:
        return from_stranger(member, in.some());
      case 3:
        return from_stranger(member, handshake(member, in));
      case 4:
        if (member.node) member->locate(address(other, in), [](auto) {});
        return;
      case 5:
        if (member.node) member->want_shortcut(address(other, in));
        return;
      case 6:
        if (member.node) member->send(address(other, in), Service(in.byte()), in.some());
        return;
      case 7:
        return routed(member, other, in);
      default:
        return inside(member, other, in);
    }
  }

  void check() {
    for (auto& member : pool_.members()) {
      if (!member.node) continue;
      const NodeTables tables = member->tables();
      assert(tables.sessions <= SessionLimits().sessions_max);
      assert(tables.links <= ring::kLinksMax);
      assert(tables.requests <= ring::kRequestsMax);
      assert(tables.hints <= ring::kHintsMax);
      assert(tables.vias <= ring::kViasMax);
      assert(tables.shortcuts <= ring::kShortcutsMax);
      assert(tables.outbox_bytes <= ring::kOutboxBytesMax);
      assert(tables.partial_bytes <= ring::kPartialBytesMax);
      assert(tables.circuits <= CircuitTable::kPassedOnMax);
      assert(tables.circuit_ends <= CircuitTable::kEndsMax);
    }
  }

  void end() {
    world_.set_blocked({});
    world_.run_for(20s);
    check();
  }

 private:
  // Another member's, or any.
  static Address address(SimNode& other, Choices& in) {
    if (in.byte() % 4 != 0) return other.address();
    const Bytes bytes = in.some();
    return Address::parse(bytes).value_or(Address());
  }

  void from_stranger(SimNode& to, const Bytes& bytes) {
    const Datagram datagram{to.host.endpoint(), bytes, {}};
    stranger_.send({&datagram, 1});
  }

  // Sealed under the pool key, as only a member could.
  Bytes handshake(SimNode& to, Choices& in) {
    SeededRandom random(in.byte());
    HandshakeCodec codec(to.credentials->pool_key(), random);
    HandshakeBody body;
    body.version = in.byte() % 8 == 0 ? in.byte() : kWireVersion;
    body.flight = in.byte() % 5;
    body.fragments = static_cast<std::uint8_t>(1 + in.byte() % 15);
    body.fragment = in.byte() % body.fragments;
    body.sender_index = static_cast<std::uint32_t>(in.number(4));
    body.receiver_index = static_cast<std::uint32_t>(in.number(1));
    body.bytes = in.some();
    if (body.bytes.size() > HandshakeCodec::kPieceBytesMax)
      body.bytes.resize(HandshakeCodec::kPieceBytesMax);
    return codec.seal(body, kFirstFlightBytesMin);
  }

  // Whatever a member can say to a neighbour.
  void inside(SimNode& from, SimNode& to, Choices& in) {
    if (!from.node) return;
    const auto kind = static_cast<DataKind>(in.byte() % 6);
    Bytes payload = in.some();
    if (kind == DataKind::kControl && in.byte() % 4 != 0) {
      MessageHeader header;
      header.service = in.byte() % 4;
      header.message = static_cast<std::uint16_t>(in.number(2));
      Bytes whole(MessageHeader::kBytes);
      header.write(whole.data());
      payload.insert(payload.begin(), whole.begin(), whole.end());
    }
    if (payload.size() > 1300) payload.resize(1300);
    from->sessions().send(to.address(), kind, payload, in.byte() & 0xf0);
  }

  // With a true header and anything behind it.
  void routed(SimNode& from, SimNode& to, Choices& in) {
    if (!from.node) return;
    RoutedHeader header;
    header.hops = in.byte() % 40;
    header.mode = in.byte() % 2 ? RouteMode::kExact : RouteMode::kNearest;
    header.payload = static_cast<RoutedPayload>(1 + in.byte() % 3);
    header.destination = address(pool_[in.below(kMembers)], in);
    header.source = address(from, in);
    Bytes packet(RoutedHeader::kBytes);
    header.write(packet.data());
    const Bytes payload = in.some();
    packet.insert(packet.end(), payload.begin(), payload.end());
    if (packet.size() > 1300) packet.resize(1300);
    from->sessions().send(to.address(), DataKind::kRouted, packet);
  }

  void fail(SimNode& member, SimNode& other, std::uint8_t how) {
    switch (how % 5) {
      case 0:
        world_.set_blocked({});
        return;
      case 1:
        world_.set_blocked([&member, &other](const SimHost& from, const SimHost& to) {
          return (&from == &member.host && &to == &other.host) ||
                 (&from == &other.host && &to == &member.host);
        });
        return;
      case 2:
        if (member.node) pool_.crash(member);
        return;
      case 3:
        if (!member.node) pool_.restart(member);
        return;
      default:
        if (member.node) member->on_network_change();
    }
  }

  World world_;
  SimPool pool_;
  SimHost& stranger_;
};

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::set_log_sink([](auto, const auto&) {});
  wow::Choices in(data, size);
  wow::Play play(in.byte());
  for (int step = 0; step < wow::kStepsMax && !in.is_over(); ++step) {
    play.step(in);
    play.check();
  }
  play.end();
  return 0;
}
