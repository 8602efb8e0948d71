// Two hosts' bridges whose LANs are joined by a cable, which nobody should do: the guests of the
// one that blocks itself go on by the other, and return when the cable is pulled.
#include "tap/stand_in.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tap/mac_address.h"
#include "tap/names.h"
#include "tests/tap/bridge_world.h"

namespace wow {
namespace {

// A learning switch: what came from a MAC by one port goes to it by that port.
class Switch {
 public:
  using Port = std::function<void(const Bytes&)>;
  std::size_t add(Port port) {
    ports_.push_back(std::move(port));
    return ports_.size() - 1;
  }
  void unplug(std::size_t port) {
    ports_[port] = nullptr;
    std::erase_if(known_, [&](auto& one) { return one.second == port; });
  }
  void plug(std::size_t port, Port way) { ports_[port] = std::move(way); }
  void take(std::size_t from, const Bytes& frame) {
    const auto ethernet = EthernetView::parse(frame);
    known_[ethernet->source] = from;
    const auto known = known_.find(ethernet->destination);
    for (std::size_t port = 0; port < ports_.size(); ++port) {
      if (port == from || !ports_[port]) continue;
      if (known == known_.end() || known->second == port) ports_[port](frame);
    }
  }

 private:
  std::vector<Port> ports_;
  std::map<MacAddress, std::size_t> known_;
};

// A bridge of a host: the daemon's port, a guest's, and one for the cable.
struct Site {
  enum : std::size_t { kDaemon, kGuestPort, kCable };

  Site(BridgeHost& host, const MacAddress& mac, const std::string& address)
      : host(host), mac(mac), address(address) {
    wires.add([&host](const Bytes& frame) { host.bridge.take(frame); });
    wires.add([this](const Bytes& frame) { guest_takes(frame); });
    wires.add(nullptr);
  }
  void guest_takes(const Bytes& frame) {
    const auto ethernet = EthernetView::parse(frame);
    if (ethernet->destination != mac && !ethernet->is_to_group()) return;
    heard.push_back(frame);
    if (ethernet->type == EtherType::kIpv6) return guest_takes_ipv6(*ethernet);
    const auto arp =
        ethernet->type == EtherType::kArp ? ArpPacket::parse(ethernet->payload) : std::nullopt;
    if (!arp || arp->op != ArpPacket::kRequest || arp->target_ip != ip(address)) return;
    guest_says(write_arp_reply(arp->sender_mac, arp->sender_ip, ip(address), mac));
  }
  void guest_takes_ipv6(const EthernetView& ethernet) {
    const auto packet = Ipv6View::parse(ethernet.payload);
    const auto asked = packet ? NeighbourSolicitation::parse(*packet) : std::nullopt;
    if (!asked || address6.empty() || asked->target != ip(address6)) return;
    MacAddress answers{};  // of the option with the asker's
    std::copy_n(packet->payload.begin() + 26, answers.size(), answers.begin());
    guest_says(write_neighbour_advertisement(answers, asked->asker, asked->target, mac, true));
  }
  void guest_says(const Bytes& frame) { plugged_in->take(port, frame); }
  // What the daemon has put on the LAN.
  void flow() {
    for (const Bytes& frame : std::exchange(host.to_lan, {})) wires.take(kDaemon, frame);
  }
  bool has_heard(const Bytes& frame) const {
    return std::find(heard.begin(), heard.end(), frame) != heard.end();
  }

  BridgeHost& host;
  const MacAddress mac;
  const std::string address;
  std::string address6;  // none, if empty
  Switch wires;
  Switch* plugged_in = &wires;  // where the guest is
  std::size_t port = kGuestPort;
  std::vector<Bytes> heard;
};

// A packet between two MACs.
Bytes from_to(const MacAddress& from, const std::string& source, const MacAddress& to,
              const std::string& destination) {
  return write_ethernet(to, from, EtherType::kIpv4,
                        write_udp({ip(source), 1}, {ip(destination), 2}, Bytes(5)));
}

class StandInTest : public testing::Test {
 protected:
  StandInTest() {
    world_.dht.set_lease("10.128.0.9", plain_.address);
    for (BridgeHost* host : {&a_, &b_}) host->bridge.start();
    run(LoopGuard::kListenFor + 1s);
    x_.guest_says(announcement(x_.mac, x_.address));
    y_.guest_says(announcement(y_.mac, y_.address));
    run(1s);
    // All have talked to each other: the switches know the far ones behind the daemons' ports.
    high_.bridge.to_guest(x_.mac, from_to(kFar, "10.128.0.9", x_.mac, x_.address));
    high_.bridge.to_guest(x_.mac, from_to(y_.mac, y_.address, x_.mac, x_.address));
    low_.bridge.to_guest(y_.mac, from_to(x_.mac, x_.address, y_.mac, y_.address));
    run(1s);
  }
  void run(Duration span) {
    for (const TimePoint end = world_.clock.now() + span; world_.clock.now() < end;) {
      world_.clock.run_for(4999us);  // no frame comes at the very moment of a message
      x_.flow();
      y_.flow();
    }
  }
  void plug() {
    x_.wires.plug(Site::kCable, [this](auto& frame) { y_.wires.take(Site::kCable, frame); });
    y_.wires.plug(Site::kCable, [this](auto& frame) { x_.wires.take(Site::kCable, frame); });
  }
  void unplug() {
    x_.wires.unplug(Site::kCable);
    y_.wires.unplug(Site::kCable);
  }
  const DhtRecord* record() { return world_.dht.find("ip/" + x_.address); }
  bool told(BridgeHost& host, const Address& node) {
    return std::any_of(host.got.begin(), host.got.end(), [&](auto& message) {
      return message.has_guest_moved() && message.guest_moved().ip() == x_.address &&
             Address::parse(view_of(message.guest_moved().node())) == node;
    });
  }
  // Whether a packet of the guest to the host far away leaves by `host`, and nowhere else.
  bool leaves_by(BridgeHost& host) {
    const Bytes packet = from_to(x_.mac, x_.address, kFar, "10.128.0.9");
    for (BridgeHost* one : {&a_, &b_}) one->forwarded.clear();
    x_.guest_says(packet);
    run(10ms);
    BridgeHost& other = &host == &high_ ? low_ : high_;
    return host.forwarded == std::vector<Bytes>{packet} && other.forwarded.empty();
  }

  BridgeWorld world_;
  BridgeHost a_{world_, 1}, b_{world_, 2}, plain_{world_, 3, false};
  BridgeHost& high_ = a_.address > b_.address ? a_ : b_;
  BridgeHost& low_ = &high_ == &a_ ? b_ : a_;
  const MacAddress kFar = mac_of(plain_.address);
  Site x_{high_, kGuest, "10.128.5.5"}, y_{low_, kOther, "10.128.6.6"};
};

TEST_F(StandInTest, TheOtherBridgeTakesTheGuestsOfTheBlockedOneAndGivesThemBack) {
  ASSERT_TRUE(leaves_by(high_));
  plug();
  run(LoopGuard::kInterval + 500ms);
  ASSERT_TRUE(high_.bridge.blocked());
  EXPECT_EQ(low_.bridge.guest_at(ip(x_.address)), x_.mac);
  EXPECT_FALSE(high_.bridge.guest_at(ip(x_.address)));
  ASSERT_TRUE(record());
  EXPECT_EQ(record()->owner, low_.address);
  EXPECT_TRUE(told(plain_, low_.address));
  // Nobody had to say anything: the switches were taught, for far hosts and for guests.
  EXPECT_TRUE(leaves_by(low_));
  const Bytes back = from_to(kFar, "10.128.0.9", x_.mac, x_.address);
  low_.bridge.to_guest(x_.mac, back);
  run(10ms);
  EXPECT_TRUE(x_.has_heard(back));
  const Bytes there = from_to(x_.mac, x_.address, y_.mac, y_.address);
  x_.guest_says(there);
  EXPECT_TRUE(y_.has_heard(there));
  const Bytes here = from_to(y_.mac, y_.address, x_.mac, x_.address);
  y_.guest_says(here);
  EXPECT_TRUE(x_.has_heard(here));

  unplug();
  run(LoopGuard::kBlockedFor + 1s);
  ASSERT_FALSE(high_.bridge.blocked());
  EXPECT_EQ(high_.bridge.guest_at(ip(x_.address)), x_.mac);
  EXPECT_FALSE(low_.bridge.guest_at(ip(x_.address)));
  EXPECT_EQ(record()->owner, high_.address);
  EXPECT_TRUE(told(plain_, high_.address));
  EXPECT_TRUE(leaves_by(high_));
}

TEST_F(StandInTest, ItsIpv6AddressGoesAlongAndIsKeptWhileItIsSilent) {
  x_.address6 = "fd00::5";
  x_.guest_says(
      write_neighbour_advertisement(kAllNodesMac, all_nodes(), ip(x_.address6), x_.mac, false));
  run(1s);
  ASSERT_EQ(high_.bridge.guest_at(ip(x_.address6)), x_.mac);
  plug();
  run(LoopGuard::kInterval + 500ms);
  ASSERT_TRUE(high_.bridge.blocked());
  EXPECT_EQ(low_.bridge.guest_at(ip(x_.address6)), x_.mac);
  run(5min);
  EXPECT_EQ(low_.bridge.guest_at(ip(x_.address6)), x_.mac);
  unplug();
  run(LoopGuard::kBlockedFor + 1s);
  EXPECT_EQ(high_.bridge.guest_at(ip(x_.address6)), x_.mac);
}

// The host behind the blocked bridge is one of those from elsewhere.
TEST_F(StandInTest, AGuestReachesItsOwnHostByTheOtherBridge) {
  const std::string host = "10.128.0." + std::to_string(high_.number);
  x_.guest_says(question(x_.mac, x_.address, host));
  run(1s);
  plug();
  run(LoopGuard::kInterval + 500ms);
  ASSERT_TRUE(high_.bridge.blocked());
  run(3 * LoopGuard::kInterval);  // beacons of the blocked one do not teach otherwise
  const Bytes packet = from_to(x_.mac, x_.address, mac_of(high_.address), host);
  low_.forwarded.clear();
  x_.guest_says(packet);
  EXPECT_EQ(low_.forwarded, std::vector<Bytes>{packet});
}

TEST_F(StandInTest, ASilentGuestKeepsItsAddressAndItsRecordIsShort) {
  plug();
  run(LoopGuard::kInterval + 500ms);
  ASSERT_EQ(low_.bridge.guest_at(ip(x_.address)), x_.mac);
  EXPECT_EQ(record()->ttl, GuestLeases::kStandInTtl);
  run(5min);
  EXPECT_EQ(low_.bridge.guest_at(ip(x_.address)), x_.mac);
  ASSERT_TRUE(record());
  EXPECT_EQ(record()->owner, low_.address);
  // Of the one that is off nothing is left.
  x_.wires.unplug(Site::kGuestPort);
  run(2 * GuestLeases::kStandInTtl);
  EXPECT_FALSE(low_.bridge.guest_at(ip(x_.address)));
  EXPECT_FALSE(record());
}

// A guest that was carried to the other's bridge meanwhile stays there.
TEST_F(StandInTest, WhoStillAnswersTheOtherStaysThere) {
  plug();
  run(LoopGuard::kInterval + 500ms);
  ASSERT_EQ(low_.bridge.guest_at(ip(x_.address)), x_.mac);
  unplug();
  x_.wires.unplug(Site::kGuestPort);
  x_.plugged_in = &y_.wires;
  x_.port = y_.wires.add([this](const Bytes& frame) { x_.guest_takes(frame); });
  run(LoopGuard::kBlockedFor + 1s);
  ASSERT_FALSE(high_.bridge.blocked());
  EXPECT_EQ(low_.bridge.guest_at(ip(x_.address)), x_.mac);
  EXPECT_EQ(record()->owner, low_.address);
}

TEST_F(StandInTest, WhoIsNotOnTheLanHandsOverNothing) {
  pb::VnetMessage message;
  auto* guest = message.mutable_guest_hand_over()->add_guests();
  guest->set_mac(x_.mac.data(), x_.mac.size());
  guest->add_ips("10.128.9.9");
  const std::string far(kFar.begin(), kFar.end());
  message.mutable_guest_hand_over()->add_spoken(far);
  const auto before = low_.metrics.get(Metric::kDropSourceCheck);
  low_.to_lan.clear();
  low_.bridge.on_message(high_.address, message);
  EXPECT_EQ(low_.metrics.get(Metric::kDropSourceCheck), before + 1);
  EXPECT_FALSE(low_.bridge.guest_at(ip("10.128.9.9")));
  EXPECT_TRUE(low_.to_lan.empty());
  // Nor does one that is, if it may not bridge, or asks for too much at once.
  plug();
  run(LoopGuard::kInterval + 500ms);
  low_.bridge.on_message(plain_.address, message);
  EXPECT_FALSE(low_.bridge.guest_at(ip("10.128.9.9")));
  low_.to_lan.clear();
  for (std::size_t i = 0; i <= StandIn::kSpokenPerMessage; ++i) {
    message.mutable_guest_hand_over()->add_spoken(far);
  }
  low_.bridge.on_message(high_.address, message);
  EXPECT_TRUE(low_.to_lan.empty());
  EXPECT_EQ(low_.metrics.get(Metric::kDropMalformed), 1u);
}

}  // namespace
}  // namespace wow
