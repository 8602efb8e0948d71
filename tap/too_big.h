// "That does not fit": the answer that a host gets for a packet larger than the way carries, so
// that its TCP sends smaller ones (path MTU discovery, RFC 1191 and
// RFC 8201).
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"

namespace wow {

// An Ethernet frame for the sender of `frame`: ICMP "fragmentation needed", or ICMPv6 "packet too
// big", with `packet_max`, the largest IP packet that fits, as if from the packet's destination. It
// quotes as much as RFC 1812 (4.3.2.3) and RFC 4443 (2.4) allow: a host believes it only if it
// finds a connection of its own in there. Nothing for what may be fragmented, for fragments, for
// ICMP errors (RFC 1122, 3.2.2), for IPv6 packets of at most 1280 bytes, which every way must carry
// (RFC 8200, 5), and for what is not IP.
std::optional<Bytes> write_too_big(ByteView frame, std::size_t packet_max);

}  // namespace wow
