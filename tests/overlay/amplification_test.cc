// A hostile member names the addresses of a victim, in every way there is: what the victim gets for
// it is never more than three times what the member sent (RFC 9000, 8.1).
//
//   eight members in a ring, among them `evil`; `good`, which it lies to; a victim with 250
//   addresses
#include "overlay/ctm.h"
#include "overlay/limits.h"
#include "tests/overlay/hostile_member.h"
#include "tests/overlay/pool_fixture.h"
#include "tunnel/handshake_codec.h"

namespace wow {
namespace {

constexpr std::uint64_t kFactor = 3;
// Of a key exchange, what the one end sends that the other has not answered three times already.
constexpr std::uint64_t kExchange = 664 + 43;

class AmplificationTest : public PoolTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 8; ++i) {
      NodeOptions options;
      options.streams = true;
      const std::string ip = "198.51.100." + std::to_string(i + 1);
      pool_.add(world_.add_host(ip), options);
    }
    ASSERT_TRUE(becomes_whole(2s));
    world_.run_for(5s);
    evil_ = &pool_[3];
    hostile_.emplace(*evil_);
    good_ = &pool_[0];
    ASSERT_TRUE(pool_.direct(*evil_, *good_));
    victim_ = &world_.add_host(address(0));
    for (int i = 1; i < kAddresses; ++i) world_.add_address(*victim_, address(i));
    victim_->set_receiver([this](MutableBytes packet, const Endpoint&) { got_ += packet.size(); });
  }
  static constexpr int kAddresses = 250;
  static std::string address(int i) { return "203.0.113." + std::to_string(i + 1); }
  // Another one each time.
  Endpoint victim(Carrier carrier = Carrier::kUdp) {
    const int port = SimHost::kPort + (carrier == Carrier::kUdp ? 0 : named_ / kAddresses);
    return {*IpAddress::parse(address(named_++ % kAddresses)), static_cast<std::uint16_t>(port),
            carrier};
  }
  void cut() {
    world_.set_blocked([this](const SimHost& from, const SimHost& to) {
      const SimHost &a = evil_->host, &b = good_->host;
      return (&from == &a && &to == &b) || (&from == &b && &to == &a);
    });
    world_.run_for(10s);
    ASSERT_FALSE(pool_.direct(*good_, *evil_));
  }
  std::uint64_t paid() {
    const auto keys = (*good_)->session(evil_->address())->keys();
    return kExchange + keys->bytes_in.load();
  }
  // Something each second, for a minute, and another one to see what comes late.
  template <typename Lie>
  void lie(Lie&& lie) {
    for (int second = 0; second < 60; ++second) {
      lie();
      world_.run_for(1s);
      EXPECT_LE(got_, kFactor * paid()) << "after " << second << " s";
    }
    world_.run_for(60s);
    EXPECT_LE(got_, kFactor * paid());
  }
  pb::Link candidates(Carrier carrier) {
    pb::Link link;
    for (int i = 0; i < 8; ++i)
      link.mutable_candidates()->add_endpoints(to_string(victim(carrier).bytes()));
    return link;
  }

  SimHost* victim_ = nullptr;
  SimNode *evil_ = nullptr, *good_ = nullptr;
  std::optional<HostileMember> hostile_;
  int named_ = 0;
  std::uint64_t got_ = 0;  // bytes, by the victim
};

TEST_F(AmplificationTest, NewCandidatesEachSecond) {
  cut();
  lie([this] { hostile_->send_link(*good_, candidates(Carrier::kUdp)); });
  EXPECT_GT(got_, 2000u) << "they are checked";
}

TEST_F(AmplificationTest, CandidatesThatAreStreams) {
  cut();
  const auto before = world_.drops().unreachable;
  lie([this] { hostile_->send_link(*good_, candidates(Carrier::kTcp)); });
  const auto dialled = world_.drops().unreachable - before;
  EXPECT_GT(dialled, 10u);
  EXPECT_LE(dialled * ring::kStreamCheckBytes, kFactor * paid());
}

TEST_F(AmplificationTest, ListsOfMembersThatDoNotExist) {
  std::uint64_t ghost = 0;
  lie([&] {
    pb::Link link;
    for (int i = 0; i < 16; ++i) {
      // As near to us as can be.
      Bytes bytes = to_bytes(good_->address().bytes());
      put_big_endian(bytes.data() + 8, ++ghost, 8);
      Member{Address::from_bytes(bytes), {victim(), victim()}}.write(
          *link.mutable_neighbours()->add_members(), 8);
    }
    hostile_->send_link(*good_, link);
  });
  EXPECT_GT(got_, 2000u) << "they are dialled";
}

TEST_F(AmplificationTest, RequestsOfMembersThatDoNotExist) {
  std::uint64_t ghost = 1000;
  lie([&] {
    for (int i = 0; i < 5; ++i) {
      FakeCredentials credentials(++ghost);
      Ctm ctm;
      ctm.id = ghost;
      ctm.role = EdgeRole::kNear;
      ctm.source = {credentials.address(), {victim(), victim()}};
      ctm.target = good_->address();
      RoutedHeader header;
      header.payload = RoutedPayload::kCtm;
      header.destination = good_->address();
      header.source = credentials.address();
      Bytes packet(RoutedHeader::kBytes);
      header.write(packet.data());
      const Bytes bytes = sign_ctm(ctm, credentials, good_->host.wall());
      packet.insert(packet.end(), bytes.begin(), bytes.end());
      hostile_->send(*good_, DataKind::kRouted, packet);
    }
  });
  EXPECT_GT(got_, 2000u) << "they are dialled";
}

TEST_F(AmplificationTest, OutsidersThatDoNotExist) {
  std::uint64_t ghost = 1000;
  lie([&] {
    pb::Link link;
    Member{FakeCredentials::address_of(++ghost), {victim(), victim()}}.write(
        *link.mutable_outsider()->mutable_member(), 8);
    hostile_->send_link(*good_, link);
  });
  EXPECT_GT(got_, 400u) << "they are dialled";
}

// A bootstrap that is always busy, and names victims instead.
TEST_F(AmplificationTest, ReferralsOfABusyBootstrap) {
  SeededRandom random{7};
  HandshakeCodec codec{FakeCredentials(1).pool_key(), random};
  std::uint64_t said = 0;
  bool padded = false;
  victim_->accept_streams();
  SimHost& bootstrap = world_.add_host("198.51.100.200");
  bootstrap.accept_streams();
  bootstrap.set_receiver([&](MutableBytes packet, const Endpoint& from) {
    const auto opened = codec.open(packet);
    ASSERT_TRUE(opened.body);
    Writer names;
    const Bytes name = victim(padded ? Carrier::kTcp : Carrier::kUdp).bytes();
    names.u8(static_cast<std::uint8_t>(name.size())).bytes(name);
    HandshakeBody refer;
    refer.flight = HandshakeBody::kRefer;
    refer.sender_index = refer.receiver_index = opened.body->sender_index;
    refer.bytes = names.take();
    const Bytes answer = codec.seal(refer, (padded = !padded) ? kNamedFlightBytes : 0);
    said += answer.size();
    const Datagram datagram{.to = from, .head = answer, .body = {}};
    bootstrap.send({&datagram, 1});
  });
  NodeOptions options;
  options.streams = true;
  options.bootstraps = {bootstrap.endpoint()};
  pool_.add(world_.add_host("198.51.100.201"), options);
  for (int second = 0; second < 600; ++second) {
    world_.run_for(1s);
    ASSERT_LE(got_, kFactor * said) << second << " s";
  }
  EXPECT_GT(got_, 5000u) << "they are dialled";
}

// Where it has been, it may be looked for; not where it only said that it was.
TEST_F(AmplificationTest, CandidatesOfWhoDies) {
  hostile_->send_link(*good_, candidates(Carrier::kUdp));
  world_.run_for(1s);
  const std::uint64_t before = paid();
  pool_.crash(*evil_);
  world_.run_for(20s);
  EXPECT_LE(got_, kFactor * before);
  const std::uint64_t soon = got_;
  world_.run_for(10min);
  EXPECT_EQ(got_, soon);
}

}  // namespace
}  // namespace wow
