// Ethernet, IPv4, IPv6, UDP, ARP and DNS, from the host's side and from the overlay's.
#include "tap/arp.h"
#include "tap/dns.h"
#include "tap/inbound.h"
#include "tap/too_big.h"
#include "tests/fuzz/fuzz.h"

namespace wow {
namespace {

void dns(ByteView bytes) {
  const auto question = DnsQuestion::parse(bytes);
  if (!question) return;
  touch(question->section);
  const Bytes address(4, 1);
  assert(write_dns_answer(*question, DnsCode::kNoError, address).size() > question->section.size());
  (void)parse_reverse_name(question->name);
}

void names(ByteView bytes) {
  const std::string text = to_string(bytes);
  (void)parse_reverse_name(text);
  const auto labels = write_dns_name(text);
  assert(!labels || labels->size() <= 255);
}

void frame(ByteView bytes) {
  const auto ethernet = EthernetView::parse(bytes);
  if (!ethernet) return;
  touch(ethernet->payload);
  if (const auto arp = ArpPacket::parse(ethernet->payload)) {
    assert(ArpPacket::parse(arp->write()));
  }
  if (const auto ip = Ipv4View::parse(ethernet->payload)) {
    touch(ip->payload);
    (void)internet_checksum(ip->payload);
    if (const auto udp = UdpView::parse(ip->payload)) {
      touch(udp->payload);
      dns(udp->payload);
    }
  }
  if (const auto ip = Ipv6View::parse(ethernet->payload)) {
    touch(ip->payload);
    (void)NeighbourSolicitation::parse(*ip);
  }
  if (const auto answer = write_too_big(bytes, 1300)) touch(*answer);
  if (const auto inbound = InboundFrame::parse(bytes)) {
    touch(inbound->bytes);
  }
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const wow::ByteView bytes(data, size);
  wow::frame(bytes);
  wow::dns(bytes);
  wow::names(bytes);
  return 0;
}
