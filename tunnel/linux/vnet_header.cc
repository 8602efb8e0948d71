#include "tunnel/linux/vnet_header.h"

#include <cstring>

namespace wow {
namespace {

// struct virtio_net_hdr; the kernel's header is none in C++.
struct VnetHeader {
  std::uint8_t flags = 0;
  std::uint8_t segmentation = 0;
  std::uint16_t header_bytes = 0;
  std::uint16_t segment_bytes = 0;
  std::uint16_t checksum_from = 0;
  std::uint16_t checksum_offset = 0;  // from there
};
static_assert(sizeof(VnetHeader) == kVnetHeaderBytes);
constexpr std::uint8_t kNeedsChecksum = 1;
constexpr std::uint8_t kNone = 0, kTcpV4 = 1, kTcpV6 = 4, kUdp = 5;

}  // namespace

LeftToUs read_vnet_header(const std::uint8_t* at) {
  VnetHeader header;
  std::memcpy(&header, at, sizeof header);
  LeftToUs out;
  if (header.flags & kNeedsChecksum) {
    out.checksum = true;
    out.checksum_from = header.checksum_from;
    out.checksum_at = std::size_t{header.checksum_from} + header.checksum_offset;
  }
  if (header.segmentation != kNone) out.segment_bytes = header.segment_bytes;
  return out;
}

void write_vnet_header(std::uint8_t* at, const JoinedFrame& frame) {
  VnetHeader header;
  if (frame.headers) {
    const FrameHeaders& h = *frame.headers;
    header.flags = kNeedsChecksum;
    header.checksum_from = h.transport;
    header.checksum_offset = static_cast<std::uint16_t>(h.checksum_offset());
    if (frame.segments > 1) {
      header.segmentation = !h.is_tcp() ? kUdp : h.is_v6 ? kTcpV6 : kTcpV4;
      header.segment_bytes = static_cast<std::uint16_t>(frame.segment_bytes);
      header.header_bytes = h.payload;
    }
  }
  std::memcpy(at, &header, sizeof header);
}

}  // namespace wow
