#include "nat/linux/mapping_ways.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <natpmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace wow {
namespace {

// A router on the same wire answers in milliseconds. RFC 6887, 8.1.1 begins at 3 s, for clients
// that have no other way to try.
constexpr std::array<int, 4> kPatienceMs = {100, 250, 500, 1000};
constexpr int kNatPmpPatienceMs = 1500;
constexpr int kDiscoverMs = 1500;

using Clock = std::chrono::steady_clock;

// libnatpmp knows how to find the default router; 0 if there is none.
in_addr_t default_router() {
  natpmp_t natpmp;
  if (initnatpmp(&natpmp, 0, 0) != 0) return 0;
  const in_addr_t router = natpmp.gateway;
  closenatpmp(&natpmp);
  return router;
}

// A socket that hears only the router, and the address it is sent from.
struct Line {
  int fd = -1;
  IpAddress own;
  ~Line() {
    if (fd >= 0) close(fd);
  }
  bool open(in_addr_t router) {
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{}, from{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kPcpPort);
    to.sin_addr.s_addr = router;
    socklen_t size = sizeof from;
    if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) != 0)
      return false;
    own = IpAddress::v4(ntohl(from.sin_addr.s_addr));
    return true;
  }
};

PcpMapRequest pcp_request(const MappingRequest& request, const Line& line,
                          std::chrono::seconds lifetime) {
  PcpMapRequest out;
  out.client = line.own;
  out.nonce = request.nonce;
  out.inside_port = request.port;
  out.lifetime = lifetime;
  if (lifetime.count() > 0) {
    out.suggested = {IpAddress::v4(0), request.outside_port ? request.outside_port : request.port};
  }
  return out;
}

bool is_sane(const Endpoint& outside) {
  const IpAddress& ip = outside.ip;
  return outside.is_set() && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() &&
         !ip.is_link_local();
}

struct FreeDevices {
  void operator()(UPNPDev* list) const { freeUPNPDevlist(list); }
};

}  // namespace

int open_announcements() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // They go to all hosts, and every program that maps ports listens there.
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in all{};
  all.sin_family = AF_INET;
  all.sin_port = htons(kPcpAnnouncedPort);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&all), sizeof all) == 0) return fd;
  close(fd);
  return -1;
}

bool read_announcements(int fd) {
  constexpr int kAtOnce = 16;
  const in_addr_t router = default_router();
  bool out = false;
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_in from{};
    socklen_t length = sizeof from;
    char said = 0;
    if (recvfrom(fd, &said, sizeof said, 0, reinterpret_cast<sockaddr*>(&from), &length) < 0) break;
    out =
        out || (router != 0 && from.sin_addr.s_addr == router && ntohs(from.sin_port) == kPcpPort);
  }
  return out;
}

std::optional<MappedPort> map_by_pcp(const MappingRequest& request, std::string& why) {
  const in_addr_t router = default_router();
  Line line;
  if (router == 0 || !line.open(router)) {
    why = "no default router";
    return std::nullopt;
  }
  const Bytes packet = pcp_request(request, line, kMappingLifetime).write();
  why = "no answer";
  for (const int patience : kPatienceMs) {
    if (send(line.fd, packet.data(), packet.size(), 0) < 0) why = std::strerror(errno);
    const auto end = Clock::now() + std::chrono::milliseconds(patience);
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      pollfd readable{line.fd, POLLIN, 0};
      if (left <= 0 || poll(&readable, 1, static_cast<int>(left)) <= 0) break;
      std::array<std::uint8_t, PcpMapResponse::kBytesMax + 1> buffer;
      const ssize_t got = recv(line.fd, buffer.data(), buffer.size(), 0);
      if (got < 0) {
        why = std::strerror(errno);
        return std::nullopt;
      }
      const ByteView bytes(buffer.data(), static_cast<std::size_t>(got));
      // RFC 6887, appendix A: a router that speaks NAT-PMP alone answers in version 0.
      if (bytes.size() >= 4 && bytes[0] == 0) {
        why = "the router speaks NAT-PMP only";
        return std::nullopt;
      }
      const auto response = PcpMapResponse::parse(bytes);
      if (!response || response->nonce != request.nonce || response->inside_port != request.port)
        continue;
      if (response->result != PcpMapResponse::kSuccess) {
        why = "refused with result " + std::to_string(response->result);
        return std::nullopt;
      }
      if (!is_sane(response->outside)) {
        why = "answered with an address that cannot be";
        return std::nullopt;
      }
      return MappedPort{"PCP", response->outside, response->lifetime, {}, {}};
    }
  }
  return std::nullopt;
}

namespace {

// Sends a request by `ask`, and waits for an answer of type `type`.
template <typename Ask>
std::optional<natpmpresp_t> natpmp_answer(natpmp_t& natpmp, int type, Ask ask, std::string& why) {
  const auto end = Clock::now() + std::chrono::milliseconds(kNatPmpPatienceMs);
  if (ask() < 0) {
    why = "the request could not be sent";
    return std::nullopt;
  }
  why = "no answer";
  while (Clock::now() < end) {
    pollfd readable{natpmp.s, POLLIN, 0};
    poll(&readable, 1, 50);
    natpmpresp_t response{};
    const int got = readnatpmpresponseorretry(&natpmp, &response);
    if (got == NATPMP_TRYAGAIN) continue;
    if (got == 0 && response.type == type) return response;
    why = "refused with error " + std::to_string(got);
    return std::nullopt;
  }
  return std::nullopt;
}

std::uint16_t wished(const MappingRequest& request) {
  return request.outside_port ? request.outside_port : request.port;
}

}  // namespace

std::optional<MappedPort> map_by_natpmp(const MappingRequest& request, std::string& why) {
  natpmp_t natpmp;
  if (initnatpmp(&natpmp, 0, 0) != 0) {
    why = "no default router";
    return std::nullopt;
  }
  const std::unique_ptr<natpmp_t, int (*)(natpmp_t*)> closes(&natpmp, closenatpmp);
  const auto address = natpmp_answer(
      natpmp, NATPMP_RESPTYPE_PUBLICADDRESS, [&] { return sendpublicaddressrequest(&natpmp); },
      why);
  if (!address) return std::nullopt;
  const auto mapped = natpmp_answer(
      natpmp, NATPMP_RESPTYPE_UDPPORTMAPPING,
      [&] {
        return sendnewportmappingrequest(&natpmp, NATPMP_PROTOCOL_UDP, request.port,
                                         wished(request),
                                         static_cast<std::uint32_t>(kMappingLifetime.count()));
      },
      why);
  if (!mapped) return std::nullopt;
  const auto& port = mapped->pnu.newportmapping;
  const Endpoint outside{IpAddress::v4(ntohl(address->pnu.publicaddress.addr.s_addr)),
                         port.mappedpublicport};
  if (port.privateport != request.port || !is_sane(outside)) {
    why = "answered with a port or address that cannot be";
    return std::nullopt;
  }
  return MappedPort{"NAT-PMP", outside, std::chrono::seconds(port.lifetime), {}, {}};
}

bool is_local_url(const std::string& url) {
  constexpr std::string_view kHttp = "http://";
  if (!url.starts_with(kHttp)) return false;
  const std::string rest = url.substr(kHttp.size(), url.find('/', kHttp.size()) - kHttp.size());
  const auto endpoint = Endpoint::parse(rest);
  const auto ip = endpoint ? std::optional(endpoint->ip) : IpAddress::parse(rest);
  return ip && ip->is_private() && !ip->is_loopback();
}

std::optional<MappedPort> map_by_upnp(const MappingRequest& request, std::string& why) {
  int error = 0;
  const std::unique_ptr<UPNPDev, FreeDevices> devices(
      upnpDiscover(kDiscoverMs, nullptr, nullptr, UPNP_LOCAL_PORT_ANY, 0, 2, &error));
  why = "no device answered";
  if (!devices) return std::nullopt;
  // Those that lie elsewhere than on this network are passed over: numeric_getaddrinfo.cc.
  UPNPUrls urls{};
  IGDdatas data{};
  char own[64] = "";
  const int valid = UPNP_GetValidIGD(devices.get(), &urls, &data, own, sizeof own);
  const std::string control = valid != 0 && urls.controlURL ? urls.controlURL : "";
  const std::string service = data.first.servicetype;
  if (valid != 0) FreeUPNPUrls(&urls);
  if (valid != 1) {
    why = valid == 0 ? "no device is a router" : "a router that says it is not connected";
    return std::nullopt;
  }
  if (!is_local_url(control) || service.size() > 128 || control.size() > 256) {
    why = "the router names an address that is not on this network";
    return std::nullopt;
  }
  char outside_ip[64] = "";
  if (UPNP_GetExternalIPAddress(control.c_str(), service.c_str(), outside_ip) != 0) {
    why = "the router does not tell its own address";
    return std::nullopt;
  }
  const auto ip = IpAddress::parse(outside_ip);
  const std::string inside = std::to_string(request.port),
                    outside = std::to_string(wished(request));
  const std::string lifetime = std::to_string(kMappingLifetime.count());
  int failed = UPNP_AddPortMapping(control.c_str(), service.c_str(), outside.c_str(),
                                   inside.c_str(), own, "wow", "UDP", nullptr, lifetime.c_str());
  constexpr int kOnlyPermanentLeases = 725;
  if (failed == kOnlyPermanentLeases) {
    failed = UPNP_AddPortMapping(control.c_str(), service.c_str(), outside.c_str(), inside.c_str(),
                                 own, "wow", "UDP", nullptr, "0");
  }
  if (failed != 0) {
    why = "refused with error " + std::to_string(failed);
    return std::nullopt;
  }
  MappedPort mapped{
      "UPnP", {ip.value_or(IpAddress()), wished(request)}, kMappingLifetime, control, service};
  if (is_sane(mapped.outside)) return mapped;
  why = "answered with an address that cannot be";
  unmap(request, mapped);
  return std::nullopt;
}

void unmap(const MappingRequest& request, const MappedPort& mapped) {
  if (mapped.way == "UPnP") {
    UPNP_DeletePortMapping(mapped.handle.c_str(), mapped.service.c_str(),
                           std::to_string(mapped.outside.port).c_str(), "UDP", nullptr);
    return;
  }
  std::string why;
  natpmp_t natpmp;
  if (mapped.way == "NAT-PMP" && initnatpmp(&natpmp, 0, 0) == 0) {
    natpmp_answer(
        natpmp, NATPMP_RESPTYPE_UDPPORTMAPPING,
        [&] { return sendnewportmappingrequest(&natpmp, NATPMP_PROTOCOL_UDP, request.port, 0, 0); },
        why);
    closenatpmp(&natpmp);
  }
  Line line;
  if (mapped.way == "PCP" && line.open(default_router())) {
    const Bytes packet = pcp_request(request, line, std::chrono::seconds(0)).write();
    // Lost ones are repeated as often as there is time; answers tell nothing that we need.
    for (const int patience : {50, 150}) {
      if (send(line.fd, packet.data(), packet.size(), 0) < 0) return;
      pollfd readable{line.fd, POLLIN, 0};
      if (poll(&readable, 1, patience) > 0) return;
    }
  }
}

}  // namespace wow
