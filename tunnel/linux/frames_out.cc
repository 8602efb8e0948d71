#include "tunnel/linux/frames_out.h"

#include <unistd.h>

#include <utility>

#include "proto/headers.h"
#include "tunnel/frame_cutter.h"
#include "tunnel/linux/ipv4_frame.h"
#include "tunnel/linux/ipv6_frame.h"

namespace wow {
namespace {

bool is_from_own(ByteView frame, const ForwardingTables& tables) {
  const std::uint32_t own_ip = tables.own_ip.load(std::memory_order_relaxed);
  if (own_ip == 0) return false;
  if (const auto ip = Ipv4Frame::parse(frame)) return ip->source == own_ip;
  const auto six = Ipv6Frame::parse(frame);
  return six && Ipv6Frame::same(six->source, tables.own_ip6);
}

}  // namespace

FramesOut::FramesOut(const TapQueue& tap, std::size_t lane, SendBatch& batch, PuntQueue& punts,
                     MetricSlot& metrics, Random& random)
    : tap_(tap),
      lane_(lane),
      batch_(batch),
      punts_(punts),
      metrics_(metrics),
      random_(random),
      storage_(new std::uint8_t[kFrameAt + kFrameBytesMax]) {}

bool FramesOut::turn(const ForwardingTables& tables, std::int64_t now_ns) {
  now_ns_ = now_ns;
  batch_.set_now(now_ns);
  int count = 0;
  for (; count < kFramesPerTurn; ++count) {
    LeftToUs left;
    const auto frame = read(&left);
    if (!frame) break;
    if (count == 0) salt_ = random_.u32();
    take(*frame, left, tables);
  }
  batch_.flush();
  return count != 0;
}

std::optional<MutableBytes> FramesOut::read(LeftToUs* left) {
  const std::size_t header = tap_.vnet_header ? kVnetHeaderBytes : 0;
  std::uint8_t* const frame = storage_.get() + kFrameAt;
  const ssize_t got = ::read(tap_.fd, frame - header, header + kFrameBytesMax);
  if (got < static_cast<ssize_t>(header + kEthernetHeaderBytes)) return std::nullopt;
  if (tap_.vnet_header) *left = read_vnet_header(frame - header);
  return MutableBytes(frame, static_cast<std::size_t>(got) - header);
}

void FramesOut::take(MutableBytes frame, const LeftToUs& left, const ForwardingTables& tables) {
  std::optional<FrameHeaders> headers;
  if (left.checksum) headers = FrameHeaders::parse(frame);
  // An inner packet's (of a tunnel within), or of another protocol: only its sum can be made here.
  const bool plain = headers && left.checksum_from == headers->transport &&
                     left.checksum_at == headers->transport + headers->checksum_offset();
  if (left.segment_bytes != 0 && !plain) return metrics_.add(Metric::kDropFrameKind);
  const bool partial = left.checksum && plain;
  if (left.checksum && !plain && !complete(frame, left)) {
    return metrics_.add(Metric::kDropFrameKind);
  }
  const SendEntry* to = tables.by_mac.find(mac_key(frame.data()));
  if (to != nullptr && !is_from_own(frame, tables)) to = nullptr;
  // The control thread tells the host what fits.
  const std::size_t longest =
      left.segment_bytes == 0 ? frame.size() : headers->payload + left.segment_bytes;
  if (to != nullptr && !to->carries(longest)) to = nullptr;
  const std::uint8_t facts = partial ? kFactChecksumPartial : 0;
  if (left.segment_bytes == 0) {
    metrics_.add(Metric::kFramesOut);
    if (to == nullptr) return punt(frame, partial, headers);
    send(frame, facts, *to);
    return account(*to, frame.size() + kDataOverheadBytes);
  }
  FrameCutter cutter(frame, *headers, left.segment_bytes);
  std::size_t segments = 0, bytes = 0;
  for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next()) {
    ++segments;
    if (to == nullptr) {
      punt(one, partial, headers);
    } else {
      send(one, facts, *to);
      bytes += one.size() + kDataOverheadBytes;
    }
  }
  metrics_.add(Metric::kFramesOut, segments);
  if (to != nullptr) account(*to, bytes);
}

bool FramesOut::complete(MutableBytes frame, const LeftToUs& left) {
  if (left.checksum_from > frame.size() || left.checksum_at + 2 > frame.size()) return false;
  // The field holds the sum of the pseudo header.
  const auto sum = static_cast<std::uint16_t>(~ones_sum(frame.subspan(left.checksum_from)));
  put_big_endian(frame.data() + left.checksum_at, sum == 0 ? 0xffff : sum, 2);
  return true;
}

// The byte before the frame is free: the vnet header's, or of a segment that is sealed already.
void FramesOut::send(MutableBytes frame, std::uint8_t facts, const SendEntry& to) {
  std::uint8_t* const kind = frame.data() - 1;
  *kind = static_cast<std::uint8_t>(DataKind::kFrame) | facts;
  Sealer& sealer = to.keys->lanes[lane_];
  sealer.set_salt(salt_);
  const ByteView plain(kind, frame.size() + 1);
  // Place first: what is sealed already goes out if it fills the batch.
  std::uint8_t* const place = batch_.place();
  const std::size_t head = to.circuit == 0 ? 0 : RelayHeader::kBytes;
  if (to.circuit != 0) RelayHeader{0, to.circuit}.write(place);
  if (!sealer.seal(plain, place + head)) return metrics_.add(Metric::kDropSendFailed);
  batch_.add(to.to, head + plain.size() + kSealedBytes, to.keys->receive_index, ecn_of(frame));
}

void FramesOut::account(const SendEntry& to, std::size_t bytes) {
  SessionKeys& keys = *to.keys;
  keys.last_sent_data_ns.store(now_ns_, std::memory_order_relaxed);
  keys.last_sent_frame_ns.store(now_ns_, std::memory_order_relaxed);
  keys.bytes_out.fetch_add(bytes, std::memory_order_relaxed);
  keys.phases.used(now_ns_);
}

// The control thread and the ring carry whole frames only.
void FramesOut::punt(MutableBytes frame, bool partial, const std::optional<FrameHeaders>& headers) {
  if (partial) complete_checksum(frame, *headers);
  Punt punt{Punt::Kind::kFrameOut, 0, 0, {}, {}, 0};
  punt.bytes = to_bytes(frame);
  if (!punts_.push(std::move(punt))) metrics_.add(Metric::kDropQueueFull);
}

}  // namespace wow
