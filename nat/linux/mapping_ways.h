// The three ways to ask a router for a port, each one blocking try; for the worker processes of
// port_mapper.cc.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/endpoint.h"
#include "nat/pcp.h"

namespace wow {

struct MappedPort {
  std::string way;
  Endpoint outside;
  std::chrono::seconds lifetime{};
  // What removes it: of PCP the router, of UPnP where to send the command and its service's type.
  std::string handle, service;
};

struct MappingRequest {
  std::uint16_t port = 0;
  std::uint16_t outside_port = 0;  // wished for; 0: the same
  PcpNonce nonce{};
};

inline constexpr std::chrono::seconds kMappingLifetime{3600};

// A socket that hears what routers announce when they have restarted, and -1 if there can be none.
int open_announcements();
// Reads what has come there. Whether the router in front of us was among those who said something:
// it may have forgotten what it maps (RFC 6886, 3.2.1; RFC 6887, 14.1). Anybody on the link can say
// so in its name.
bool read_announcements(int fd);
// Nothing if the router does not do this; `why` says what happened.
std::optional<MappedPort> map_by_pcp(const MappingRequest& request, std::string& why);
std::optional<MappedPort> map_by_natpmp(const MappingRequest& request, std::string& why);
std::optional<MappedPort> map_by_upnp(const MappingRequest& request, std::string& why);
// Best effort.
void unmap(const MappingRequest& request, const MappedPort& mapped);

// Whether UPnP's "http://HOST:PORT/..." names a machine of the local network: a device must not
// have us talk to just anybody. Loopback is not, names are not.
bool is_local_url(const std::string& url);

}  // namespace wow
