// The IPv6 addresses inside a pool: unique local ones (RFC 4193) that follow from the node's place
// on the ring, so that they are never leased and the receiver's source check needs nobody's word.
#pragma once

#include <vector>

#include "base/address.h"
#include "base/endpoint.h"

namespace wow {

// | fd 1 | of the pool's key, hashed: 5 | the first bytes of the node's address: 10 |
// The two bytes behind the first six are a subnet's number. Guests on bridges have 0 for their own:
// a node whose address begins so counts as one of 1 here.
inline constexpr int kInnerIpv6Bits = 48, kGuestIpv6Bits = 64;

// RFC 4193, 3.2: two pools that meet on one host must not share a prefix, so it is drawn by a hash.
Prefix inner_ipv6_prefix(ByteView pool_key);

// `prefix` is one of the above.
IpAddress inner_ipv6(const Prefix& prefix, const Address& node);

// Where on the ring to look for the node at `ip`, an address inside the prefix: the middle of the
// 2^80 addresses that it may have; in subnet 1 there are two such places.
std::vector<Address> ring_places_of(const IpAddress& ip);

// Of the addresses that guests have, `prefix` as above.
Prefix guest_ipv6_prefix(const Prefix& prefix);

}  // namespace wow
