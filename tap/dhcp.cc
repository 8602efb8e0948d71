#include "tap/dhcp.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tap/lease_agent.h"

namespace wow {
namespace {

constexpr std::uint8_t kBootRequest = 1, kBootReply = 2, kEthernet = 1;
constexpr std::uint32_t kCookie = 0x63825363;  // RFC 2132, 2
constexpr std::size_t kHardwareBytes = 16, kNamesBytes = 64 + 128;
constexpr MacAddress kBroadcastMac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// RFC 2132.
constexpr std::uint8_t kPad = 0, kEnd = 255, kSubnetMask = 1, kNameServer = 6, kDomain = 15,
                       kMtu = 26, kRequestedIp = 50, kLeaseTime = 51, kMessageType = 53,
                       kServerId = 54;

IpAddress take_ip(Reader& in) { return IpAddress::v4(in.u32()); }

bool take_options(Reader& in, DhcpMessage& out) {
  while (in.ok() && in.remaining() > 0) {
    const std::uint8_t code = in.u8();
    if (code == kPad) continue;
    if (code == kEnd) break;
    const ByteView value = in.take(in.u8());
    if (!in.ok()) return false;
    if (code == kMessageType && value.size() == 1) out.type = DhcpMessage::Type{value[0]};
    if (code == kRequestedIp && value.size() == 4) out.requested = IpAddress::from_bytes(value);
    if (code == kServerId && value.size() == 4) out.server = IpAddress::from_bytes(value);
  }
  return in.ok();
}

// Where on the ring a node with this MAC would be, for lease_candidate().
Address stand_in(const MacAddress& mac) {
  std::array<std::uint8_t, Address::kBytes> out{};
  std::copy(mac.begin(), mac.end(), out.begin());
  return Address::from_bytes(out);
}

}  // namespace

std::optional<DhcpMessage> DhcpMessage::parse(ByteView payload) {
  Reader in(payload);
  DhcpMessage out;
  const bool known = in.u8() == kBootRequest && in.u8() == kEthernet && in.u8() == out.mac.size();
  in.u8();  // hops
  out.transaction = in.u32();
  in.u16();  // seconds
  out.flags = in.u16();
  out.client_ip = take_ip(in);
  in.take(8);  // your address, next server
  const IpAddress relay = take_ip(in);
  const ByteView hardware = in.take(kHardwareBytes);
  in.take(kNamesBytes);
  if (in.u32() != kCookie || !in.ok() || !known || !relay.is_unspecified()) return std::nullopt;
  std::copy_n(hardware.begin(), out.mac.size(), out.mac.begin());
  if (!take_options(in, out) || out.type == Type{}) return std::nullopt;
  return out;
}

Bytes write_dhcp_answer(const DhcpMessage& asked, DhcpMessage::Type type, const IpAddress& ip,
                        const DhcpNetwork& network) {
  const bool refused = type == DhcpMessage::Type::kNak;
  Writer out;
  out.u8(kBootReply).u8(kEthernet).u8(6).u8(0).u32(asked.transaction).u16(0).u16(asked.flags);
  out.u32(refused ? 0 : asked.client_ip.v4_value()).u32(refused ? 0 : ip.v4_value());
  out.u32(0).u32(0).bytes(asked.mac).bytes(Bytes(kHardwareBytes - asked.mac.size() + kNamesBytes));
  out.u32(kCookie).u8(kMessageType).u8(1).u8(static_cast<std::uint8_t>(type));
  out.u8(kServerId).u8(4).bytes(network.server.bytes());
  if (!refused) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(network.lease).count();
    if (asked.type != DhcpMessage::Type::kInform) {
      out.u8(kLeaseTime).u8(4).u32(static_cast<std::uint32_t>(seconds));
    }
    const std::uint32_t mask = network.subnet.bits == 0 ? 0 : ~0u << (32 - network.subnet.bits);
    out.u8(kSubnetMask).u8(4).u32(mask);
    out.u8(kNameServer).u8(4).bytes(network.server.bytes());
    out.u8(kMtu).u8(2).u16(static_cast<std::uint16_t>(network.mtu));
    out.u8(kDomain).u8(static_cast<std::uint8_t>(network.domain.size()));
    out.bytes(view_of(network.domain));
  }
  return out.u8(kEnd).take();
}

DhcpServer::DhcpServer(DhcpNetwork network, const MacAddress& own_mac, Clock& clock,
                       MetricSlot& metrics, Hooks hooks)
    : network_(std::move(network)),
      own_mac_(own_mac),
      clock_(clock),
      metrics_(metrics),
      hooks_(std::move(hooks)) {}

void DhcpServer::take(const MacAddress& from, ByteView payload) {
  const auto asked = DhcpMessage::parse(payload);
  if (!asked) return metrics_.add(Metric::kDropMalformed);
  // Nobody asks for another: one guest must not use up the addresses of all.
  if (asked->mac != from) return metrics_.add(Metric::kDropSourceCheck);
  if (!questions_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  switch (asked->type) {
    case DhcpMessage::Type::kDiscover:
      return offer(*asked, 0);
    case DhcpMessage::Type::kRequest:
      return request(*asked);
    case DhcpMessage::Type::kInform:
      return answer(*asked, DhcpMessage::Type::kAck, IpAddress::v4(0));
    case DhcpMessage::Type::kRelease:
      return hooks_.give_back(asked->mac, asked->client_ip);
    case DhcpMessage::Type::kDecline:
      if (!asked->requested) return;
      if (declined_.size() >= kDeclinedMax) declined_.clear();
      declined_.insert(*asked->requested);
      return hooks_.give_back(asked->mac, *asked->requested);
    default:
      return;
  }
}

// The n-th candidate: what it has, what it wishes, then hashes of its MAC, so that it gets the same
// address wherever it asks.
void DhcpServer::offer(const DhcpMessage& asked, std::uint32_t n) {
  if (n == kOffersTried) return;
  std::optional<IpAddress> ip;
  if (n == 0) {
    ip = hooks_.held(asked.mac);
    if (ip) return answer(asked, DhcpMessage::Type::kOffer, *ip);
    ip = asked.requested;
  } else {
    ip = network_.subnet.at(lease_candidate(stand_in(asked.mac), n - 1, network_.subnet));
  }
  if (!ip || !hooks_.is_leasable(*ip) || declined_.contains(*ip)) return offer(asked, n + 1);
  hooks_.is_free(*ip, [this, asked, n, ip = *ip](bool free) {
    if (!free) return offer(asked, n + 1);
    answer(asked, DhcpMessage::Type::kOffer, ip);
  });
}

void DhcpServer::request(const DhcpMessage& asked) {
  // It chose another server's offer (RFC 2131, 4.3.2).
  if (asked.server && *asked.server != network_.server) return;
  const IpAddress ip = asked.requested.value_or(asked.client_ip);
  if (!hooks_.is_leasable(ip) || declined_.contains(ip)) {
    return answer(asked, DhcpMessage::Type::kNak, IpAddress::v4(0));
  }
  hooks_.take(asked.mac, ip, [this, asked, ip](bool taken) {
    if (taken) return answer(asked, DhcpMessage::Type::kAck, ip);
    answer(asked, DhcpMessage::Type::kNak, IpAddress::v4(0));
  });
}

void DhcpServer::answer(const DhcpMessage& asked, DhcpMessage::Type type, const IpAddress& ip) {
  // RFC 2131, 4.1: straight to whoever can take it, else to all; refusals to all.
  const bool to_all = asked.client_ip.is_unspecified() &&
                      (asked.wants_broadcast() || type == DhcpMessage::Type::kNak);
  IpAddress to = asked.client_ip.is_unspecified() ? ip : asked.client_ip;
  if (to_all) to = IpAddress::v4(0xffffffff);
  const Bytes payload = write_dhcp_answer(asked, type, ip, network_);
  hooks_.to_lan(write_ethernet(to_all ? kBroadcastMac : asked.mac, own_mac_, EtherType::kIpv4,
                               write_udp({network_.server, DhcpMessage::kServerPort},
                                         {to, DhcpMessage::kClientPort}, payload)));
}

}  // namespace wow
