// MAC addresses of the virtual Ethernet: derived, so that nobody needs to ask for a node's.
#pragma once

#include <algorithm>
#include <array>

#include "base/address.h"
#include "base/endpoint.h"
#include "tunnel/forwarding.h"

namespace wow {

// 02 and the first five bytes of the address: locally administered, unicast.
inline MacAddress mac_of(const Address& node) {
  MacAddress out{0x02};
  std::copy_n(node.bytes().begin(), out.size() - 1, out.begin() + 1);
  return out;
}

// The service address answers with this; a node has the same in one case of 2^40.
inline constexpr MacAddress kServiceMac = {0x02, 0x00, 0x00, 0x00, 0x00, 0x53};

// The address that whoever has this MAC makes itself for its link (RFC 4291, appendix A).
inline IpAddress link_local_of(const MacAddress& mac) {
  std::array<std::uint8_t, 16> out{0xfe, 0x80};
  std::copy_n(mac.begin(), 3, out.begin() + 8);
  out[8] ^= 0x02;
  out[11] = 0xff;
  out[12] = 0xfe;
  std::copy_n(mac.begin() + 3, 3, out.begin() + 13);
  return IpAddress::v6(out);
}

}  // namespace wow
