#include "tap/linux/netlink.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace wow {
namespace {

// Shorter prefixes are default routes in disguise: 0.0.0.0/1 and 128.0.0.0/1 of many a VPN.
constexpr int kRouteBitsMin = 2;

struct Free {
  void operator()(nl_sock* s) const { nl_socket_free(s); }
  void operator()(nl_addr* a) const { nl_addr_put(a); }
  void operator()(rtnl_addr* a) const { rtnl_addr_put(a); }
  void operator()(rtnl_link* l) const { rtnl_link_put(l); }
  void operator()(nl_cache* c) const { nl_cache_free(c); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Error nl_failure(const std::string& what, int code) {
  return {code == -NLE_PERM ? ErrorCode::kPermission : ErrorCode::kIo,
          "cannot " + what + ": " + nl_geterror(code)};
}

Result<Owned<nl_sock>> connect_route() {
  Owned<nl_sock> sock(nl_socket_alloc());
  if (!sock) return Error{ErrorCode::kIo, "no memory for a netlink socket"};
  if (const int failed = nl_connect(sock.get(), NETLINK_ROUTE); failed < 0)
    return nl_failure("reach netlink", failed);
  return sock;
}

Owned<nl_addr> nl_address(const IpAddress& ip, int bits) {
  Owned<nl_addr> out(
      nl_addr_build(ip.is_v4() ? AF_INET : AF_INET6, ip.bytes().data(), ip.bytes().size()));
  nl_addr_set_prefixlen(out.get(), bits);
  return out;
}

std::optional<Prefix> prefix_of(const nl_addr* address) {
  const auto ip =
      IpAddress::from_bytes({static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address)),
                             nl_addr_get_len(address)});
  if (!ip) return std::nullopt;
  return Prefix{*ip, static_cast<int>(nl_addr_get_prefixlen(address))};
}

template <typename Object, typename Visit>
void for_each_in(nl_cache* cache, Visit visit) {
  for (nl_object* o = nl_cache_get_first(cache); o != nullptr; o = nl_cache_get_next(o))
    visit(reinterpret_cast<Object*>(o));
}

}  // namespace

namespace {

// Takes all IPv4 addresses away but `kept`, an address with its prefix length.
Result<void> clear_but(int index, const std::optional<Prefix>& kept) {
  auto sock = connect_route();
  if (!sock) return sock.error();
  nl_cache* raw = nullptr;
  if (const int failed = rtnl_addr_alloc_cache(sock->get(), &raw); failed < 0)
    return nl_failure("list addresses", failed);
  const Owned<nl_cache> cache(raw);
  for_each_in<rtnl_addr>(cache.get(), [&](rtnl_addr* address) {
    if (rtnl_addr_get_ifindex(address) != index || rtnl_addr_get_family(address) != AF_INET) return;
    const nl_addr* local = rtnl_addr_get_local(address);
    if (!kept || !local || prefix_of(local) != kept) rtnl_addr_delete(sock->get(), address, 0);
  });
  return {};
}

}  // namespace

Result<void> clear_interface(int index) { return clear_but(index, std::nullopt); }

Result<void> configure_interface(int index, const IpAddress& ip, const Prefix& subnet) {
  // An address that stays is not touched: the host's open connections use it.
  if (auto cleared = clear_but(index, Prefix{ip, subnet.bits}); !cleared) return cleared;
  auto sock = connect_route();
  if (!sock) return sock.error();
  const Owned<rtnl_addr> address(rtnl_addr_alloc());
  const auto local = nl_address(ip, subnet.bits);
  rtnl_addr_set_ifindex(address.get(), index);
  rtnl_addr_set_local(address.get(), local.get());
  if (const int failed = rtnl_addr_add(sock->get(), address.get(), NLM_F_REPLACE); failed < 0) {
    return nl_failure("give " + ip.text() + " to the virtual interface", failed);
  }
  const Owned<rtnl_link> now(rtnl_link_alloc()), wanted(rtnl_link_alloc());
  rtnl_link_set_ifindex(now.get(), index);
  rtnl_link_set_flags(wanted.get(), IFF_UP);
  if (const int failed = rtnl_link_change(sock->get(), now.get(), wanted.get(), 0); failed < 0) {
    return nl_failure("bring the virtual interface up", failed);
  }
  return {};
}

Result<void> add_ipv6_address(int index, const IpAddress& ip, int bits) {
  auto sock = connect_route();
  if (!sock) return sock.error();
  const Owned<rtnl_addr> address(rtnl_addr_alloc());
  const auto local = nl_address(ip, bits);
  rtnl_addr_set_ifindex(address.get(), index);
  rtnl_addr_set_local(address.get(), local.get());
  rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
  if (const int failed = rtnl_addr_add(sock->get(), address.get(), NLM_F_REPLACE); failed < 0) {
    return nl_failure("give " + ip.text() + " to the virtual interface", failed);
  }
  return {};
}

Result<void> join_bridge(int index, const std::string& bridge) {
  auto sock = connect_route();
  if (!sock) return sock.error();
  rtnl_link* raw = nullptr;
  const int failed = rtnl_link_get_kernel(sock->get(), 0, bridge.c_str(), &raw);
  const Owned<rtnl_link> found(raw);
  const char* type = failed < 0 ? nullptr : rtnl_link_get_type(found.get());
  if (type == nullptr || std::strcmp(type, "bridge") != 0) {
    return Error{ErrorCode::kNotFound, "there is no bridge " + bridge +
                                           ": make it with `ip link add " + bridge +
                                           " type bridge`, and put the guests' interfaces into it"};
  }
  const Owned<rtnl_link> now(rtnl_link_alloc()), wanted(rtnl_link_alloc());
  rtnl_link_set_ifindex(now.get(), index);
  rtnl_link_set_master(wanted.get(), rtnl_link_get_ifindex(found.get()));
  rtnl_link_set_flags(wanted.get(), IFF_UP);
  if (const int code = rtnl_link_change(sock->get(), now.get(), wanted.get(), 0); code < 0) {
    return nl_failure("become a port of " + bridge, code);
  }
  return {};
}

std::optional<MacAddress> interface_mac(const std::string& name) {
  const auto sock = connect_route();
  rtnl_link* raw = nullptr;
  const bool there = sock && rtnl_link_get_kernel(sock->get(), 0, name.c_str(), &raw) >= 0;
  const Owned<rtnl_link> found(raw);
  const nl_addr* address = there ? rtnl_link_get_addr(found.get()) : nullptr;
  MacAddress out{};
  if (!address || nl_addr_get_len(address) != out.size()) return std::nullopt;
  std::memcpy(out.data(), nl_addr_get_binary_addr(address), out.size());
  return out;
}

Result<std::optional<std::string>> colliding_route(const Prefix& subnet) {
  auto sock = connect_route();
  if (!sock) return sock.error();
  nl_cache *raw_routes = nullptr, *raw_links = nullptr;
  if (const int failed = rtnl_link_alloc_cache(sock->get(), AF_UNSPEC, &raw_links); failed < 0)
    return nl_failure("list interfaces", failed);
  const Owned<nl_cache> links(raw_links);
  if (const int failed = rtnl_route_alloc_cache(sock->get(), AF_INET, 0, &raw_routes); failed < 0)
    return nl_failure("list routes", failed);
  const Owned<nl_cache> routes(raw_routes);
  std::optional<std::string> found;
  for_each_in<rtnl_route>(routes.get(), [&](rtnl_route* route) {
    if (rtnl_route_get_table(route) == RT_TABLE_LOCAL || rtnl_route_get_nnexthops(route) == 0)
      return;
    const auto prefix = prefix_of(rtnl_route_get_dst(route));
    if (!prefix || prefix->bits < kRouteBitsMin || !prefix->overlaps(subnet)) return;
    char name[64] = "";
    rtnl_link_i2name(links.get(), rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0)), name,
                     sizeof name);
    found = prefix->text() + " on " + name;
  });
  return found;
}

std::string default_routes() {
  const auto sock = connect_route();
  nl_cache* raw = nullptr;
  if (!sock || rtnl_route_alloc_cache(sock->get(), AF_UNSPEC, 0, &raw) < 0) return {};
  const Owned<nl_cache> routes(raw);
  std::string out;
  for_each_in<rtnl_route>(routes.get(), [&](rtnl_route* route) {
    if (rtnl_route_get_table(route) != RT_TABLE_MAIN || rtnl_route_get_nnexthops(route) == 0)
      return;
    if (nl_addr_get_prefixlen(rtnl_route_get_dst(route)) != 0) return;
    rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0);
    char gateway[64] = "";
    if (nl_addr* via = rtnl_route_nh_get_gateway(hop)) nl_addr2str(via, gateway, sizeof gateway);
    out += std::to_string(rtnl_route_nh_get_ifindex(hop)) + " " + gateway + "\n";
  });
  return out;
}

Result<NetworkMonitor> NetworkMonitor::open() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (fd >= 0) close(fd);
    return Error{ErrorCode::kIo, std::string("cannot watch the network: ") + std::strerror(errno)};
  }
  return NetworkMonitor(fd);
}

NetworkMonitor::NetworkMonitor(NetworkMonitor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

NetworkMonitor::~NetworkMonitor() {
  if (fd_ >= 0) close(fd_);
}

namespace {

// Which interface a message is about; 0: none or unknown.
int interface_of(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return static_cast<const ifinfomsg*>(NLMSG_DATA(message))->ifi_index;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return static_cast<int>(static_cast<const ifaddrmsg*>(NLMSG_DATA(message))->ifa_index);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      auto* route = static_cast<rtmsg*>(NLMSG_DATA(message));
      int left = static_cast<int>(RTM_PAYLOAD(message));
      for (auto* a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == RTA_OIF) return *static_cast<int*>(RTA_DATA(a));
      }
      return 0;
    }
    default:
      return 0;
  }
}

bool tells_its_peers(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK) return false;
  auto* link = static_cast<ifinfomsg*>(NLMSG_DATA(message));
  int left = static_cast<int>(IFLA_PAYLOAD(message));
  for (auto* a = IFLA_RTA(link); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type == IFLA_EVENT && RTA_PAYLOAD(a) >= sizeof(std::uint32_t))
      return *static_cast<std::uint32_t*>(RTA_DATA(a)) == IFLA_EVENT_NOTIFY_PEERS;
  }
  return false;
}

}  // namespace

bool NetworkMonitor::drain(int own_index, bool* moved) {
  bool changed = false;
  alignas(nlmsghdr) std::array<std::uint8_t, 32768> buffer;
  for (;;) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    // Messages were lost: something changed for sure.
    if (got < 0 && errno == ENOBUFS) {
      changed = true;
      continue;
    }
    if (got <= 0) return changed;
    // Signed: NLMSG_NEXT may step over the end by padding.
    auto left = static_cast<int>(got);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(m, left);
         m = NLMSG_NEXT(m, left)) {
      const int index = interface_of(m);
      if (index == 0 || index == own_index) continue;
      changed = true;
      if (moved != nullptr && tells_its_peers(m)) *moved = true;
    }
  }
}

}  // namespace wow
