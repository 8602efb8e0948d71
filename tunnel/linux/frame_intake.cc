#include "tunnel/linux/frame_intake.h"

#include <unistd.h>

#include <utility>

#include "proto/headers.h"
#include "tunnel/linux/ipv4_frame.h"
#include "tunnel/linux/ipv6_frame.h"
#include "tunnel/linux/vnet_header.h"

namespace wow {
namespace {

constexpr std::uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolUdp = 17;
constexpr std::uint8_t kIcmpRedirect = 5;
constexpr std::uint16_t kDhcpServerPort = 67, kDhcpV6ServerPort = 547;

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

// Of IPv6 all but the commonest: extension headers may hide what comes behind.
bool steers_the_host(const Ipv6Frame& ip) {
  if (ip.next == kProtocolTcp) return false;
  return ip.next != kProtocolUdp || ip.payload.size() < 2 ||
         get_big_endian(ip.payload.data(), 2) == kDhcpV6ServerPort;
}

// Whether the addresses are the sender's and ours.
bool is_between_us(ByteView frame, std::uint32_t own_ip, const ReceiveEntry& entry,
                   const ForwardingTables& tables) {
  if (const auto ip = Ipv4Frame::parse(frame)) {
    return ip->destination == own_ip && entry.source_ip.is_v4() &&
           ip->source == entry.source_ip.v4_value() && !steers_the_host(*ip);
  }
  const auto six = Ipv6Frame::parse(frame);
  return six && !entry.source_ip6.is_unspecified() &&
         Ipv6Frame::same(six->destination, tables.own_ip6) &&
         Ipv6Frame::same(six->source, entry.source_ip6) && !steers_the_host(*six);
}

// Whether a worker may hand this to the host as it is: a frame from its sender's own addresses to
// ours.
bool is_deliverable(ByteView plain, const ReceiveEntry& entry, const ForwardingTables& tables) {
  if ((plain[0] & kDataKindMask) != static_cast<std::uint8_t>(DataKind::kFrame) ||
      (plain[0] & ~kDataKindMask & ~kFactChecksumPartial) != 0 || entry.source_mac == 0)
    return false;
  const ByteView frame = plain.subspan(1);
  const std::uint32_t own_ip = tables.own_ip.load(std::memory_order_relaxed);
  return own_ip != 0 && frame.size() >= kEthernetHeaderBytes &&
         mac_key(frame.data()) == tables.own_mac && mac_key(frame.data() + 6) == entry.source_mac &&
         is_between_us(frame, own_ip, entry, tables);
}

FrameJoiner::Limits limits_of(const TapQueue& tap) {
  return {tap.vnet_header ? tap.frame_bytes_max : 0,
          tap.vnet_header && tap.udp_segments ? tap.frame_bytes_max : 0};
}

}  // namespace

FrameIntake::FrameIntake(const TapQueue& tap, PuntQueue& punts, MetricSlot& metrics)
    : tap_(tap), punts_(punts), metrics_(metrics), joiner_(limits_of(tap), *this) {}

bool FrameIntake::take(MutableBytes packet, const From& from, const ForwardingTables& tables,
                       std::int64_t now_ns) {
  Sealed sealed{packet, from, 0};
  if (const auto relayed = RelayHeader::parse(packet);
      relayed && relayed->hops <= RelayHeader::kHopsMax) {
    sealed.packet = packet.subspan(RelayHeader::kBytes);
    sealed.circuit = relayed->circuit;
  }
  const auto header = DataHeader::parse(sealed.packet);
  return header && header->lane != 0 && open(sealed, header->receiver_index, tables, now_ns);
}

bool FrameIntake::is_on_path(const Sealed& sealed, const ReceiveEntry& entry) {
  return sealed.from.endpoint == entry.from && sealed.circuit == entry.circuit;
}

bool FrameIntake::open(const Sealed& sealed, std::uint32_t index, const ForwardingTables& tables,
                       std::int64_t now_ns) {
  const ReceiveEntry* const found = tables.by_index.find(index);
  if (found == nullptr) return false;
  const ReceiveEntry& entry = *found;
  const bool on_path = is_on_path(sealed, entry);
  // Only the control thread knows who may use another circuit.
  if (sealed.circuit != 0 && !on_path) return false;
  const std::size_t plain_bytes = sealed.packet.size() - kSealedBytes;
  std::uint8_t* const place = joiner_.place(plain_bytes);
  OpenFailure why = OpenFailure::kNone;
  if (!entry.keys->opener->open(sealed.packet, place, &why)) {
    joiner_.drop();
    metrics_.add(why == OpenFailure::kReplayed ? Metric::kDropReplayed : Metric::kDropForged);
    return true;
  }
  // From elsewhere it says nothing of the path in use; the control thread accounts for it.
  if (on_path) entry.keys->last_received_ns.store(now_ns, std::memory_order_relaxed);
  entry.keys->bytes_in.fetch_add(sealed.packet.size(), std::memory_order_relaxed);
  deliver({place, plain_bytes}, sealed, entry, tables);
  return true;
}

void FrameIntake::deliver(MutableBytes plain, const Sealed& sealed, const ReceiveEntry& entry,
                          const ForwardingTables& tables) {
  if (!is_on_path(sealed, entry) || !is_deliverable(plain, entry, tables)) {
    Punt punt{Punt::Kind::kOpened,       0,
              entry.keys->receive_index, sealed.from.endpoint,
              to_bytes(plain),           sealed.circuit};
    if (!punts_.push(std::move(punt))) metrics_.add(Metric::kDropQueueFull);
    return joiner_.drop();
  }
  if (!apply_outer_ecn(plain.subspan(1), sealed.from.ecn)) {
    metrics_.add(Metric::kDropCongestion);
    return joiner_.drop();
  }
  if (!joiner_.take((plain[0] & kFactChecksumPartial) != 0)) metrics_.add(Metric::kDropMalformed);
}

void FrameIntake::write(const JoinedFrame& joined) {
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
