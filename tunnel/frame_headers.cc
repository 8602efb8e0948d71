#include "tunnel/frame_headers.h"

#include <bit>

namespace wow {
namespace {

constexpr std::size_t kIp = FrameHeaders::kIp;
constexpr std::uint64_t kEtherTypeIpv4 = 0x0800, kEtherTypeIpv6 = 0x86dd;
constexpr std::size_t kIpv4HeaderBytes = 20, kIpv6HeaderBytes = 40;
constexpr std::size_t kTcpHeaderBytes = 20, kUdpHeaderBytes = 8;
constexpr std::uint8_t kEcnMask = 3, kEct1 = 1, kCe = 3;

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// Fills in `transport` and `protocol`; false if this is no such packet.
bool parse_ipv4(ByteView frame, FrameHeaders& out) {
  const std::uint8_t* ip = frame.data() + kIp;
  const std::size_t header = static_cast<std::size_t>(ip[0] & 15) * 4;
  const bool fragment = (get_big_endian(ip + 6, 2) & 0x3fff) != 0;
  if (ip[0] >> 4 != 4 || header < kIpv4HeaderBytes || kIp + header > frame.size() || fragment ||
      get_big_endian(ip + 2, 2) != frame.size() - kIp)
    return false;
  out.transport = static_cast<std::uint8_t>(kIp + header);
  out.protocol = static_cast<FrameHeaders::Protocol>(ip[9]);
  return true;
}

bool parse_ipv6(ByteView frame, FrameHeaders& out) {
  if (frame.size() < kIp + kIpv6HeaderBytes) return false;
  const std::uint8_t* ip = frame.data() + kIp;
  if (ip[0] >> 4 != 6 || get_big_endian(ip + 4, 2) != frame.size() - kIp - kIpv6HeaderBytes)
    return false;
  out.is_v6 = true;
  out.transport = kIp + kIpv6HeaderBytes;
  out.protocol = static_cast<FrameHeaders::Protocol>(ip[6]);
  return true;
}

void put(std::uint8_t* at, std::uint16_t sum) { put_big_endian(at, sum, 2); }

void write_ipv4_checksum(std::uint8_t* ip) {
  put(ip + 10, 0);
  put(ip + 10,
      static_cast<std::uint16_t>(~ones_sum({ip, static_cast<std::size_t>(ip[0] & 15) * 4})));
}

// Where the byte with the ECN bits is, and how far up they are in it; null without IP.
struct TrafficClass {
  std::uint8_t* byte = nullptr;
  int shift = 0;
};
TrafficClass traffic_class(MutableBytes frame) {
  if (frame.size() < kIp + kIpv4HeaderBytes) return {};
  switch (get_big_endian(frame.data() + 12, 2)) {
    case kEtherTypeIpv4:
      return {frame.data() + kIp + 1, 0};
    case kEtherTypeIpv6:
      return {frame.data() + kIp + 1, 4};
    default:
      return {};
  }
}

}  // namespace

std::optional<FrameHeaders> FrameHeaders::parse(ByteView frame) {
  if (frame.size() < kIp + kIpv4HeaderBytes) return std::nullopt;
  FrameHeaders out;
  const std::uint64_t type = get_big_endian(frame.data() + 12, 2);
  const bool is_ip = type == kEtherTypeIpv4   ? parse_ipv4(frame, out)
                     : type == kEtherTypeIpv6 ? parse_ipv6(frame, out)
                                              : false;
  if (!is_ip) return std::nullopt;
  const std::size_t left = frame.size() - out.transport;
  const std::uint8_t* transport = frame.data() + out.transport;
  std::size_t header = kUdpHeaderBytes;
  switch (out.protocol) {
    case Protocol::kTcp:
      if (left < kTcpHeaderBytes) return std::nullopt;
      header = static_cast<std::size_t>(transport[12] >> 4) * 4;
      if (header < kTcpHeaderBytes) return std::nullopt;
      break;
    case Protocol::kUdp:
      if (left < kUdpHeaderBytes || get_big_endian(transport + 4, 2) != left) return std::nullopt;
      break;
    default:
      return std::nullopt;
  }
  if (header > left) return std::nullopt;
  out.payload = static_cast<std::uint8_t>(out.transport + header);
  return out;
}

std::uint16_t ones_sum(ByteView bytes, std::uint32_t initial) {
  // In the machine's own order, eight bytes at a time: the sum is the same but for its byte order
  // (RFC 1071, 2).
  std::uint64_t sum = 0, carry = 0;
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    sum += word;
    carry += sum < word;
  }
  std::uint64_t last = 0;
  if (left != 0) std::memcpy(&last, at, left);
  sum += last;
  carry += sum < last;
  std::uint16_t folded = fold((sum & 0xffffffff) + (sum >> 32) + carry);
  if constexpr (std::endian::native == std::endian::little) {
    folded = static_cast<std::uint16_t>(folded << 8 | folded >> 8);
  }
  return fold(std::uint64_t{folded} + initial);
}

std::uint16_t pseudo_header_sum(ByteView frame, const FrameHeaders& headers) {
  const ByteView addresses =
      headers.is_v6 ? frame.subspan(kIp + 8, 32) : frame.subspan(kIp + 12, 8);
  const auto bytes = static_cast<std::uint32_t>(frame.size() - headers.transport);
  return ones_sum(addresses, bytes + static_cast<std::uint32_t>(headers.protocol));
}

void write_lengths(MutableBytes frame, const FrameHeaders& headers) {
  std::uint8_t* ip = frame.data() + kIp;
  if (headers.is_v6) {
    put_big_endian(ip + 4, frame.size() - headers.transport, 2);
  } else {
    put_big_endian(ip + 2, frame.size() - kIp, 2);
    write_ipv4_checksum(ip);
  }
  if (!headers.is_tcp()) {
    put_big_endian(frame.data() + headers.transport + 4, frame.size() - headers.transport, 2);
  }
}

void complete_checksum(MutableBytes frame, const FrameHeaders& headers) {
  std::uint8_t* const field = frame.data() + headers.transport + headers.checksum_offset();
  put(field, 0);
  const std::uint16_t sum =
      ones_sum(frame.subspan(headers.transport), pseudo_header_sum(frame, headers));
  const auto checksum = static_cast<std::uint16_t>(~sum);
  // RFC 768: a computed zero is sent as all ones, for zero says that there is none.
  put(field, checksum == 0 && !headers.is_tcp() ? 0xffff : checksum);
}

std::uint8_t ecn_of(ByteView frame) {
  const TrafficClass at = traffic_class({const_cast<std::uint8_t*>(frame.data()), frame.size()});
  return at.byte == nullptr ? 0 : *at.byte >> at.shift & kEcnMask;
}

bool apply_outer_ecn(MutableBytes frame, std::uint8_t outer) {
  const TrafficClass at = traffic_class(frame);
  if (at.byte == nullptr || outer == 0) return true;
  const std::uint8_t inner = *at.byte >> at.shift & kEcnMask;
  // RFC 6040, figure 4: a mark on what cannot bear marks is a loss; ECT(1) and CE are passed on.
  if (inner == 0) return outer != kCe;
  if (inner == kCe || (outer != kCe && outer != kEct1) || inner == outer) return true;
  *at.byte = static_cast<std::uint8_t>((*at.byte & ~(kEcnMask << at.shift)) | outer << at.shift);
  if (at.shift == 0) write_ipv4_checksum(frame.data() + kIp);
  return true;
}

}  // namespace wow
