// Where the headers of a TCP or UDP frame lie, and the arithmetic on them that segmentation needs.
// Used by packet workers for frames of the host (cut, completed) and for opened frames of a peer
// (joined): the bytes are hostile. RFC 791, RFC 8200, RFC 9293, RFC 768.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace wow {

inline constexpr std::size_t kEthernetHeaderBytes = 14;

struct FrameHeaders {
  enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17 };
  // Ethernet, an IP and a TCP header, each as long as can be.
  static constexpr std::size_t kBytesMax = kEthernetHeaderBytes + 60 + 60;
  static constexpr std::size_t kIp = kEthernetHeaderBytes;  // the IP header begins here

  Protocol protocol = Protocol::kTcp;
  bool is_v6 = false;
  std::uint8_t transport = 0;  // the TCP or UDP header begins here
  std::uint8_t payload = 0;    // and its payload here

  bool is_tcp() const { return protocol == Protocol::kTcp; }
  // Where the transport's checksum lies, counted from its header.
  std::size_t checksum_offset() const { return is_tcp() ? 16 : 6; }

  // An unfragmented TCP or UDP packet over IPv4, or over IPv6 without extension headers, whose
  // lengths are true and end where the frame ends; nothing for all else.
  static std::optional<FrameHeaders> parse(ByteView frame);
};

// RFC 1071: the folded sum, not complemented; `sum` continues an earlier one. Each but the last
// part must have an even number of bytes.
std::uint16_t ones_sum(ByteView bytes, std::uint32_t sum = 0);

// The sum of the pseudo header for the transport's bytes in `frame` (RFC 9293, 3.1), folded: what a
// host leaves in the checksum field for its network card to go on from.
std::uint16_t pseudo_header_sum(ByteView frame, const FrameHeaders& headers);

// Writes the true IP lengths for this frame, the header checksum of IPv4, and UDP's length.
void write_lengths(MutableBytes frame, const FrameHeaders& headers);

// Computes the transport's checksum, whatever the field holds.
void complete_checksum(MutableBytes frame, const FrameHeaders& headers);

// RFC 3168's codepoint of an IPv4 or IPv6 frame, 0 for others.
std::uint8_t ecn_of(ByteView frame);
// RFC 6040, 4.2: the frame after a tunnel whose outer header carried `outer`. False: drop it.
bool apply_outer_ecn(MutableBytes frame, std::uint8_t outer);

}  // namespace wow
