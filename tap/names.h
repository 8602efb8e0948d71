// What names and keys look like: "ip/10.128.0.9" and "name/node7" in the DHT, node7.POOL.internal
// for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.h"
#include "dht/dht.h"
#include "tunnel/forwarding.h"

namespace wow {

inline constexpr std::string_view kIpKeys = "ip/";
inline constexpr std::string_view kNameKeys = "name/";
inline constexpr std::size_t kNameBytesMax = 63;  // RFC 1035, 2.3.4

// Whether a host or guest may hold `ip`: of IPv4 not the network, the service (last but one) or the
// broadcast address; of IPv6 not the routers' anycast address (RFC 4291, 2.6.1).
bool is_host_address(const IpAddress& ip, const Prefix& subnet);
IpAddress service_address(const Prefix& subnet);

std::string ip_key(const IpAddress& ip);
std::string name_key(std::string_view name);

// [a-z0-9-]{1,63}, not beginning or ending with '-', and not localhost.
bool is_host_name(std::string_view text);
std::string lower_case(std::string_view text);

// ".POOL.internal": RFC 9476 and ICANN keep this top-level domain out of the public tree.
std::string domain_suffix(std::string_view pool);
// NAME of "NAME" or "NAME.POOL.internal", in lower case; nothing if it is neither.
std::optional<std::string> host_name_of(std::string_view text, std::string_view pool);
// "node7" with 10.128.3.9 becomes "node7-3-9": the name to take when the wanted one is taken.
std::string name_with_address(std::string_view name, const IpAddress& ip);

// What a record's value says; nothing if it is not what its key promises.
struct LeaseValue {
  IpAddress ip;
  std::string
      name;  // empty or valid; as the lease's holder claims, to be held against the name's record
  std::optional<MacAddress> mac;  // likewise; of one machine, never of a group
};
std::optional<LeaseValue> parse_lease(const DhtRecord& record);
std::optional<IpAddress> parse_name_record(const DhtRecord& record);

}  // namespace wow
