// What `--json` promises: keys, units, and texts that stay parseable whatever a value holds.
#include "tools/daemon/status.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace wow {
namespace {

namespace json = boost::json;

const Address kNode = *Address::from_hex("00112233445566778899aabbccddeeff00112233");

TEST(Status, CountersAreAllThereUnderTheirNames) {
  Metrics metrics;
  metrics.add_slot().add(Metric::kFramesIn, 3);
  metrics.add_slot().add(Metric::kFramesIn, 4);
  const json::object counters = counters_json(metrics);
  EXPECT_EQ(counters.size(), kMetricCount);
  EXPECT_EQ(counters.at("frames_in"), 7);
  EXPECT_EQ(counters.at("drop_forged"), 0);
}

TEST(Status, PrometheusReadsHelpTypeAndValue) {
  Metrics metrics;
  metrics.add_slot().add(Metric::kFramesIn, 7);
  const std::string text = counters_prometheus(metrics, "lab");
  EXPECT_NE(text.find("# HELP wow_frames_in_total Ethernet frames delivered to the virtual "
                      "interface\n# TYPE wow_frames_in_total counter\n"
                      "wow_frames_in_total{pool=\"lab\"} 7\n"),
            std::string::npos);
  EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')), 3 * kMetricCount);
}

TEST(Status, PeersHaveNamesWhereTheyAreKnown) {
  EdgeInfo edge;
  edge.peer = kNode;
  edge.roles = {EdgeRole::kNear, EdgeRole::kShortcut};
  edge.direct = true;
  edge.path = {PathKind::kDirect, *Endpoint::parse("198.51.100.7:4433"), {}};
  edge.round_trip = 12ms;
  edge.bytes_in = 5;
  const json::array anonymous = peers_json({edge}, {});
  EXPECT_FALSE(anonymous[0].as_object().contains("name"));
  const LeaseRow row{*IpAddress::parse("10.128.0.7"), "node7", kNode, 1h, {}};
  const json::array named = peers_json({edge}, {{kNode, row}});
  const json::object& peer = named[0].as_object();
  EXPECT_EQ(peer.at("name"), "node7");
  EXPECT_EQ(peer.at("ip"), "10.128.0.7");
  EXPECT_EQ(peer.at("address"), json::value(kNode.hex()));
  EXPECT_EQ(peer.at("roles"), (json::array{"near", "shortcut"}));
  EXPECT_EQ(peer.at("path"), "198.51.100.7:4433");
  EXPECT_EQ(peer.at("round_trip"), 0.012);
  EXPECT_EQ(peer.at("bytes_in"), 5);
}

TEST(Status, ARelayedPeerShowsItsRelayByNameWhereItIsKnown) {
  EdgeInfo edge;
  edge.relayed = true;
  edge.path = Path::relayed(kNode, 7);
  const json::array anonymous = peers_json({edge}, {});
  EXPECT_EQ(anonymous[0].at("path"), json::value("relayed via " + kNode.short_hex()));
  const LeaseRow row{*IpAddress::parse("10.128.0.7"), "node7", kNode, 1h, {}};
  const json::array named = peers_json({edge}, {{kNode, row}});
  EXPECT_EQ(named[0].at("path"), "relayed via node7");
  EXPECT_EQ(named[0].at("relayed"), true);
}

TEST(Status, WhoIsNotReachedDirectlyShowsWhyAndSinceWhen) {
  const LeaseRow row{*IpAddress::parse("10.128.0.7"), "r2", kNode, 1h, {}};
  const auto why = [&](const EdgeInfo& edge) {
    return peers_json({edge}, {{kNode, row}})[0].at("why_not_better");
  };
  EdgeInfo edge;
  edge.direct = true;
  edge.path = Path::direct(*Endpoint::parse("198.51.100.7:4433"));
  EXPECT_TRUE(why(edge).is_null());
  edge.direct = false;
  edge.relayed = true;
  edge.path = Path::relayed(kNode, 7);
  edge.round_trip = 20600us;
  edge.path_for = 90s;
  edge.why_not = WhyNot::kBothNats;
  EXPECT_EQ(why(edge), "both NATs choose another port for each peer: relayed by r2, 21 ms");
  EXPECT_EQ(peers_json({edge}, {})[0].at("path_for"), 90.0);
  edge.relayed = false;
  edge.stream = true;
  edge.path = Path::direct({*IpAddress::parse("198.51.100.7"), 443, Carrier::kTls});
  edge.why_not = WhyNot::kUdpSilentHere;
  EXPECT_EQ(why(edge), "UDP is blocked here: TLS stream");
  edge.stream = false;
  edge.path = Path::routed();
  edge.why_not = WhyNot::kTrying;
  edge.tries = 2;
  EXPECT_EQ(why(edge), "still trying (2nd try): routed along the ring");
}

TEST(Status, ATraceShowsEachHopAndWhatIsNotKnown) {
  const LeaseRow row{*IpAddress::parse("10.128.0.7"), "node7", kNode, 1h, {}};
  const json::array hops =
      trace_json({{kNode, 12ms, HopReason::kKnows, true}, {Address(), {}, HopReason::kNone, false}},
                 {{kNode, row}});
  ASSERT_EQ(hops.size(), 2u);
  EXPECT_EQ(hops[0].at("name"), "node7");
  EXPECT_EQ(hops[0].at("address"), json::value(kNode.hex()));
  EXPECT_EQ(hops[0].at("round_trip"), 0.012);
  EXPECT_EQ(hops[0].at("why"), "knows the target, by circuit");
  EXPECT_TRUE(hops[1].at("address").is_null());
  EXPECT_TRUE(hops[1].at("round_trip").is_null());
  EXPECT_TRUE(hops[1].at("why").is_null());
}

// One with a path and nothing else.
class PathOnly : public Session {
 public:
  PathOnly(const Address& peer, const Path& path) : peer_(peer) {
    state_.path = path;
    state_.round_trip = 80ms;
  }
  const Address& peer() const override { return peer_; }
  SessionState state() const override { return SessionState::kOpen; }
  const PeerIdentity& identity() const override { return identity_; }
  const PathState& path() const override { return state_; }
  std::vector<PathState> paths() const override { return {state_}; }
  bool is_direct() const override { return state_.path.is_direct(); }
  bool is_relayed() const override { return state_.path.is_relayed(); }
  TimePoint opened_at() const override { return {}; }
  TimePoint last_activity() const override { return {}; }
  std::size_t datagram_max() const override { return 0; }
  std::shared_ptr<SessionKeys> keys() const override { return nullptr; }

 private:
  Address peer_;
  PeerIdentity identity_;
  PathState state_;
};

TEST(Status, ATraceOfACircuitShowsWhatIsKnownOfASecondRelay) {
  const Address first = *Address::from_hex("11" + kNode.hex().substr(2));
  const Address second = *Address::from_hex("22" + kNode.hex().substr(2));
  const PathOnly session(kNode, Path::relayed(first, 7));
  const json::array one = trace_json(session, {});
  ASSERT_EQ(one.size(), 2u);
  EXPECT_EQ(one[0].at("why"), "relay: its circuit leads to the target");
  EXPECT_EQ(one[1].at("address"), json::value(kNode.hex()));
  EXPECT_EQ(one[1].at("round_trip"), 0.08);
  const json::array chosen = trace_json(session, {}, {}, {true, {}, {}});
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].at("why"),
            "relay: its circuit leads to the target through one more, its choice");
  const json::array named = trace_json(session, {}, 20ms, {true, second, {}});
  ASSERT_EQ(named.size(), 3u);
  EXPECT_EQ(named[1].at("address"), json::value(second.hex()));
  EXPECT_EQ(named[1].at("why"), "second relay: the first was asked to go through it");
  EXPECT_EQ(named[0].at("round_trip"), 0.02);
  EXPECT_TRUE(named[1].at("round_trip").is_null()) << "the first has not told";
  const json::array told = trace_json(session, {}, 20ms, {true, second, 30ms});
  EXPECT_EQ(told[1].at("round_trip"), 0.05);
}

TEST(Status, ARecordThatIsNoTextIsHexadecimal) {
  DhtRecord record{"key", to_bytes("value"), kNode, 3, 60s, 1s};
  EXPECT_EQ(record_json(record).at("value"), "value");
  EXPECT_EQ(record_json(record).at("encoding"), "text");
  record.data = {0xff, 0x0a};
  EXPECT_EQ(record_json(record).at("value"), "ff0a");
  EXPECT_EQ(record_json(record).at("encoding"), "hex");
  EXPECT_EQ(record_json(record).at("ttl"), 60.0);
}

TEST(Status, LeasesAndTheStore) {
  const json::array leases =
      leases_json({{*IpAddress::parse("10.128.0.7"), "node7", kNode, 90s, {}}});
  EXPECT_EQ(leases[0].at("ttl_left"), 90.0);
  EXPECT_EQ(leases[0].at("node"), json::value(kNode.hex()));
  DhtStatus status;
  status.epoch = 2;
  status.members = {kNode};
  status.member = true;
  const json::object store = dht_json(status);
  EXPECT_EQ(store.at("epoch"), 2);
  EXPECT_EQ(store.at("members").as_array().size(), 1u);
  EXPECT_EQ(store.at("member"), true);
  EXPECT_TRUE(store.at("lineage_lost_ago").is_null());
  status.lineage_lost_ago = 3s;
  EXPECT_EQ(dht_json(status).at("lineage_lost_ago"), 3.0);
}

TEST(Status, AKeysGroupAndHolder) {
  DhtStat stat;
  stat.shard = 7;
  stat.epoch = 3;
  stat.members = {kNode};
  const json::object unavailable = stat_json("key", stat);
  EXPECT_EQ(unavailable.at("available"), false);
  EXPECT_TRUE(unavailable.at("coordinator").is_null());
  EXPECT_TRUE(unavailable.at("holder").is_null());
  stat.coordinator = kNode;
  EXPECT_TRUE(stat_json("key", stat).at("holder").is_null()) << "free";
  stat.holder = DhtRecord{"key", to_bytes("value"), kNode, 3, 60s, 1s};
  const json::object held = stat_json("key", stat);
  EXPECT_EQ(held.at("key"), "key");
  EXPECT_EQ(held.at("shard"), 7);
  EXPECT_EQ(held.at("available"), true);
  EXPECT_EQ(held.at("coordinator"), json::value(kNode.hex()));
  EXPECT_EQ(held.at("members"), json::array{kNode.hex()});
  EXPECT_EQ(held.at("holder").as_object().at("value"), "value");
}

}  // namespace
}  // namespace wow
