#include "tap/service_host.h"

#include <utility>

#include "tap/mac_address.h"

namespace wow {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint8_t kEchoRequest = 8, kEchoReply = 0;  // RFC 792
constexpr std::size_t kEchoBytesMin = 8;

}  // namespace

ServiceHost::ServiceHost(const IpAddress& ip, DnsResponder& dns, MetricSlot& metrics,
                         std::function<void(ByteView frame)> to_host)
    : ip_(ip), dns_(dns), metrics_(metrics), to_host_(std::move(to_host)) {}

void ServiceHost::take(const EthernetView& ethernet, const Ipv4View& ip) {
  const auto reply = [this, mac = ethernet.source](const Bytes& packet) {
    to_host_(write_ethernet(mac, kServiceMac, EtherType::kIpv4, packet));
  };
  if (ip.fragment) return metrics_.add(Metric::kDropFrameKind);
  if (ip.protocol == IpProtocol::kIcmp && ip.payload.size() >= kEchoBytesMin &&
      ip.payload[0] == kEchoRequest) {
    Bytes echo = to_bytes(ip.payload);
    echo[0] = kEchoReply;
    put_big_endian(echo.data() + 2, 0, 2);
    put_big_endian(echo.data() + 2, internet_checksum(echo), 2);
    return reply(write_ipv4(ip_, ip.source, IpProtocol::kIcmp, echo));
  }
  const auto udp = UdpView::parse(ip.payload);
  if (ip.protocol != IpProtocol::kUdp || !udp || udp->destination_port != kDnsPort) {
    return metrics_.add(Metric::kDropFrameKind);
  }
  const Endpoint asker{ip.source, udp->source_port};
  dns_.ask(udp->payload, [this, asker, reply](const Bytes& answer) {
    reply(write_udp({ip_, kDnsPort}, asker, answer));
  });
}

}  // namespace wow
