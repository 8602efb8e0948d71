#include "tunnel/linux/frames_in.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "proto/headers.h"
#include "tunnel/linux/ipv4_frame.h"
#include "tunnel/linux/vnet_header.h"

namespace wow {
namespace {

constexpr std::uint8_t kProtocolIcmp = 1, kProtocolUdp = 17;
constexpr std::uint8_t kIcmpRedirect = 5;
constexpr std::uint16_t kDhcpServerPort = 67;

// What could reconfigure the host is judged by the control thread, which drops and counts it.
bool steers_the_host(const Ipv4Frame& ip) {
  switch (ip.protocol) {
    case kProtocolIcmp:
      return ip.payload.empty() || ip.payload[0] == kIcmpRedirect;
    case kProtocolUdp:
      return ip.payload.size() < 2 || get_big_endian(ip.payload.data(), 2) == kDhcpServerPort;
    default:
      return false;
  }
}

// Whether a worker may hand this to the host as it is: a frame from its sender's own addresses to
// ours.
bool is_deliverable(ByteView plain, const ReceiveEntry& entry, const ForwardingTables& tables) {
  if ((plain[0] & kDataKindMask) != static_cast<std::uint8_t>(DataKind::kFrame) ||
      (plain[0] & ~kDataKindMask & ~kFactChecksumPartial) != 0 || entry.source_mac == 0)
    return false;
  const ByteView frame = plain.subspan(1);
  const auto ip = Ipv4Frame::parse(frame);
  return ip && entry.source_ip.is_v4() && tables.own_ip.is_v4() &&
         mac_key(frame.data()) == tables.own_mac && mac_key(frame.data() + 6) == entry.source_mac &&
         ip->source == entry.source_ip.v4_value() && ip->destination == tables.own_ip.v4_value() &&
         !steers_the_host(*ip);
}

FrameJoiner::Limits limits_of(const TapQueue& tap) {
  return {tap.vnet_header ? tap.frame_bytes_max : 0,
          tap.vnet_header && tap.udp_segments ? tap.frame_bytes_max : 0};
}

}  // namespace

FramesIn::FramesIn(const UdpSocket& socket, const TapQueue& tap, PuntQueue& punts,
                   MetricSlot& metrics)
    : socket_(socket), tap_(tap), punts_(punts), metrics_(metrics), joiner_(limits_of(tap), *this) {
  socket_.coalesce();
}

bool FramesIn::turn(const ForwardingTables& tables, std::int64_t now_ns) {
  now_ns_ = now_ns;
  const auto batch = receiver_.receive(socket_, metrics_);
  for (const UdpReceiver::Received& got : batch) {
    for (MutableBytes left = got.packet;;) {
      const MutableBytes one = left.first(std::min(left.size(), got.segment_bytes));
      take(one, got, tables);
      left = left.subspan(one.size());
      if (left.empty()) break;
    }
  }
  joiner_.flush();
  return !batch.empty();
}

void FramesIn::take(MutableBytes packet, const UdpReceiver::Received& with,
                    const ForwardingTables& tables) {
  Datagram datagram{packet, with, 0};
  if (const auto relayed = RelayHeader::parse(packet);
      relayed && relayed->hops <= RelayHeader::kHopsMax) {
    datagram.packet = packet.subspan(RelayHeader::kBytes);
    datagram.circuit = relayed->circuit;
  }
  const auto header = DataHeader::parse(datagram.packet);
  if (header && header->lane != 0 && open(datagram, tables)) return;
  // A flood of nothing must not push handshakes and probes out of the queue.
  if (!packet_type(packet)) return metrics_.add(Metric::kDropGarbage);
  punt({Punt::Kind::kDatagram, 0, 0, with.from, to_bytes(packet), 0});
}

bool FramesIn::is_on_path(const Datagram& datagram, const ReceiveEntry& entry) {
  return datagram.with.from == entry.from && datagram.circuit == entry.circuit;
}

bool FramesIn::open(const Datagram& datagram, const ForwardingTables& tables) {
  const MutableBytes packet = datagram.packet;
  const auto found = tables.by_index.find(DataHeader::parse(packet)->receiver_index);
  if (found == tables.by_index.end()) return false;
  const ReceiveEntry& entry = found->second;
  const bool on_path = is_on_path(datagram, entry);
  // Only the control thread knows who may use another circuit.
  if (datagram.circuit != 0 && !on_path) return false;
  const std::size_t plain_bytes = packet.size() - kSealedBytes;
  std::uint8_t* const place = joiner_.place(plain_bytes);
  OpenFailure why = OpenFailure::kNone;
  if (!entry.keys->opener->open(packet, place, &why)) {
    joiner_.drop();
    metrics_.add(why == OpenFailure::kReplayed ? Metric::kDropReplayed : Metric::kDropForged);
    return true;
  }
  // From elsewhere it says nothing of the path in use; the control thread accounts for it.
  if (on_path) entry.keys->last_received_ns.store(now_ns_, std::memory_order_relaxed);
  entry.keys->bytes_in.fetch_add(packet.size(), std::memory_order_relaxed);
  deliver({place, plain_bytes}, datagram, entry, tables);
  return true;
}

void FramesIn::deliver(MutableBytes plain, const Datagram& datagram, const ReceiveEntry& entry,
                       const ForwardingTables& tables) {
  if (!is_on_path(datagram, entry) || !is_deliverable(plain, entry, tables)) {
    punt({Punt::Kind::kOpened, 0, entry.keys->receive_index, datagram.with.from, to_bytes(plain),
          datagram.circuit});
    return joiner_.drop();
  }
  if (!apply_outer_ecn(plain.subspan(1), datagram.with.ecn)) {
    metrics_.add(Metric::kDropCongestion);
    return joiner_.drop();
  }
  if (!joiner_.take((plain[0] & kFactChecksumPartial) != 0)) metrics_.add(Metric::kDropMalformed);
}

void FramesIn::punt(Punt punt) {
  if (!punts_.push(std::move(punt))) metrics_.add(Metric::kDropQueueFull);
}

void FramesIn::write(const JoinedFrame& joined) {
  MutableBytes out = joined.frame;
  if (tap_.vnet_header) {
    out = {out.data() - kVnetHeaderBytes, out.size() + kVnetHeaderBytes};
    write_vnet_header(out.data(), joined);
  } else if (joined.headers) {
    complete_checksum(out, *joined.headers);
  }
  const bool written = ::write(tap_.fd, out.data(), out.size()) == static_cast<ssize_t>(out.size());
  metrics_.add(written ? Metric::kFramesIn : Metric::kDropQueueFull, joined.segments);
}

}  // namespace wow
