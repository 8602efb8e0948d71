// MAC addresses of the virtual Ethernet: derived, so that nobody needs to ask for a node's.
#pragma once

#include <algorithm>

#include "base/address.h"
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

}  // namespace wow
