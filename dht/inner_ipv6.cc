#include "dht/inner_ipv6.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace wow {
namespace {

constexpr std::size_t kPrefixBytes = kInnerIpv6Bits / 8;
constexpr std::size_t kNodeBytes = 16 - kPrefixBytes;
constexpr std::size_t kSubnetEnd = kPrefixBytes + 1;  // the low byte of the subnet's number
constexpr std::uint8_t kUniqueLocal = 0xfd;           // RFC 4193, 3.1: assigned by ourselves

}  // namespace

Prefix inner_ipv6_prefix(ByteView pool_key) {
  const Bytes in = concat({view_of("wow inner ipv6 1"), pool_key});
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(in.data(), in.size(), digest.data());
  std::array<std::uint8_t, 16> out{kUniqueLocal};
  std::copy_n(digest.begin(), kPrefixBytes - 1, out.begin() + 1);
  return {IpAddress::v6(out), kInnerIpv6Bits};
}

IpAddress inner_ipv6(const Prefix& prefix, const Address& node) {
  std::array<std::uint8_t, 16> out{};
  std::copy_n(prefix.network.mapped().begin(), kPrefixBytes, out.begin());
  std::copy_n(node.bytes().begin(), kNodeBytes, out.begin() + kPrefixBytes);
  if (out[kPrefixBytes] == 0 && out[kSubnetEnd] == 0) out[kSubnetEnd] = 1;
  return IpAddress::v6(out);
}

std::vector<Address> ring_places_of(const IpAddress& ip) {
  std::array<std::uint8_t, Address::kBytes> out{};
  std::copy_n(ip.mapped().begin() + kPrefixBytes, kNodeBytes, out.begin());
  out[kNodeBytes] = 0x80;
  std::vector<Address> places{Address::from_bytes(out)};
  if (out[0] == 0 && out[1] == 1) {
    out[1] = 0;
    places.push_back(Address::from_bytes(out));
  }
  return places;
}

Prefix guest_ipv6_prefix(const Prefix& prefix) { return {prefix.network, kGuestIpv6Bits}; }

}  // namespace wow
