// The IPv6 addresses inside a pool: unique local ones (RFC 4193) that follow from the node's place
// on the ring, so that they are never leased and the receiver's source check needs nobody's word.
#pragma once

#include "base/address.h"
#include "base/endpoint.h"

namespace wow {

// | fd 1 | of the pool's key, hashed: 5 | the first bytes of the node's address: 10 |
inline constexpr int kInnerIpv6Bits = 48;

// RFC 4193, 3.2: two pools that meet on one host must not share a prefix, so it is drawn by a hash.
Prefix inner_ipv6_prefix(ByteView pool_key);

// `prefix` is one of the above.
IpAddress inner_ipv6(const Prefix& prefix, const Address& node);

// Where on the ring to look for the node at `ip`, an address inside the prefix: the middle of the
// 2^80 addresses that it may have.
Address ring_place_of(const IpAddress& ip);

}  // namespace wow
