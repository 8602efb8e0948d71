// miniupnpc asks getaddrinfo for the address in a device's URL. In a static program that of the C
// library would load shared libraries, and ask name servers for whatever a device says; this one
// takes its place and knows private IPv4 addresses in figures, and the group that devices are
// searched in, nothing else: wherever a device sends us, by the place of its description or by a
// URL in it, it stays on this network and off this host.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/endpoint.h"

namespace {

// UPnP Device Architecture 1.1, 1.3.2: where SSDP's searches go.
const auto kSearchGroup = wow::IpAddress::v4(0xEFFFFFFA);

bool may_be_asked(const wow::IpAddress& ip) {
  return ip == kSearchGroup || (ip.is_private() && !ip.is_loopback());
}

}  // namespace

extern "C" {

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  in_addr address{};
  if (node == nullptr || inet_pton(AF_INET, node, &address) != 1) return EAI_NONAME;
  if (!may_be_asked(wow::IpAddress::v4(ntohl(address.s_addr)))) return EAI_NONAME;
  if (hints != nullptr && hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET)
    return EAI_FAMILY;
  struct Both {
    addrinfo info;
    sockaddr_in address;
  };
  auto* both = static_cast<Both*>(std::calloc(1, sizeof(Both)));
  if (both == nullptr) return EAI_MEMORY;
  both->address.sin_family = AF_INET;
  both->address.sin_addr = address;
  if (service != nullptr)
    both->address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(service)));
  both->info.ai_family = AF_INET;
  both->info.ai_socktype = hints != nullptr ? hints->ai_socktype : 0;
  both->info.ai_addrlen = sizeof both->address;
  both->info.ai_addr = reinterpret_cast<sockaddr*>(&both->address);
  *result = &both->info;
  return 0;
}

void freeaddrinfo(addrinfo* list) { std::free(list); }

}  // extern "C"
