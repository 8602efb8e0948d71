#include "tap/arp.h"

#include <algorithm>

#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr std::uint16_t kEthernet = 1;

void take_party(Reader& in, MacAddress* mac, IpAddress* ip) {
  const ByteView bytes = in.take(mac->size());
  std::copy(bytes.begin(), bytes.end(), mac->begin());
  *ip = IpAddress::v4(in.u32());
}

}  // namespace

std::optional<ArpPacket> ArpPacket::parse(ByteView payload) {
  Reader in(payload);
  const bool known = in.u16() == kEthernet &&
                     in.u16() == static_cast<std::uint16_t>(EtherType::kIpv4) && in.u8() == 6 &&
                     in.u8() == 4;
  if (!known) return std::nullopt;
  ArpPacket out;
  out.op = in.u16();
  take_party(in, &out.sender_mac, &out.sender_ip);
  take_party(in, &out.target_mac, &out.target_ip);
  if (!in.ok()) return std::nullopt;
  return out;
}

Bytes ArpPacket::write() const {
  Writer out;
  out.u16(kEthernet).u16(static_cast<std::uint16_t>(EtherType::kIpv4)).u8(6).u8(4).u16(op);
  out.bytes(sender_mac).bytes(sender_ip.bytes()).bytes(target_mac).bytes(target_ip.bytes());
  return out.take();
}

Bytes write_arp_reply(const MacAddress& asker_mac, const IpAddress& asker_ip, const IpAddress& ip,
                      const MacAddress& mac) {
  const ArpPacket reply{ArpPacket::kReply, mac, asker_mac, ip, asker_ip};
  return write_ethernet(asker_mac, mac, EtherType::kArp, reply.write());
}

}  // namespace wow
