#include "tunnel/linux/packet_worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <system_error>
#include <vector>

#include "base/asio/asio_clock.h"
#include "base/packet_buffer.h"

namespace wow {
namespace {

constexpr std::size_t kEthernetHeaderBytes = 14;
constexpr std::uint8_t kProtocolIcmp = 1, kProtocolUdp = 17;
constexpr std::uint8_t kIcmpRedirect = 5;
constexpr std::uint16_t kDhcpServerPort = 67;
constexpr int kFramesPerTurn = 64;  // then the other side has its turn

std::int64_t now_ns() { return AsioClock::boot_now().time_since_epoch().count(); }

// Destination and source of an IPv4 frame, or nothing for other frames.
struct Ipv4Frame {
  std::uint32_t source;
  std::uint32_t destination;
};
std::optional<Ipv4Frame> ipv4_frame(ByteView frame) {
  if (frame.size() < kEthernetHeaderBytes + 20) return std::nullopt;
  const std::uint8_t* ip = frame.data() + kEthernetHeaderBytes;
  if (get_big_endian(frame.data() + 12, 2) != 0x0800 || ip[0] >> 4 != 4) return std::nullopt;
  const std::size_t header = static_cast<std::size_t>(ip[0] & 15) * 4;
  const std::size_t total = get_big_endian(ip + 2, 2);
  if (header < 20 || total < header || total > frame.size() - kEthernetHeaderBytes)
    return std::nullopt;
  return Ipv4Frame{static_cast<std::uint32_t>(get_big_endian(ip + 12, 4)),
                   static_cast<std::uint32_t>(get_big_endian(ip + 16, 4))};
}

}  // namespace

class PacketWorker::Loop {
 public:
  explicit Loop(const Parts& parts)
      : p_(parts), lane_(static_cast<std::size_t>(parts.number) + 1), buffers_(UdpSocket::kBatch) {
    event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    batch_.reserve(UdpSocket::kBatch);
  }
  ~Loop() { close(event_fd_); }

  void run() {
    std::array<pollfd, 3> fds = {
        {{p_.socket.fd(), POLLIN, 0}, {p_.tap_fd, POLLIN, 0}, {event_fd_, POLLIN, 0}}};
    while (!stop_.load(std::memory_order_relaxed)) {
      p_.tables.asleep(p_.number);
      poll(fds.data(), fds.size(), -1);
      p_.tables.awake(p_.number);
      if (fds[0].revents) underlay_to_tap();
      if (fds[1].revents) tap_to_underlay();
      // The interface was deleted: waiting for it would return at once for ever.
      if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) fds[1].fd = -1;
    }
    p_.tables.asleep(p_.number);
  }
  void stop() {
    stop_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(event_fd_, &one, sizeof one);
  }

 private:
  void underlay_to_tap() {
    for (const auto& [from, packet] : receiver_.receive(p_.socket, p_.metrics)) {
      const auto header = DataHeader::parse(packet);
      if (header && header->lane != 0 && open_and_deliver(packet, from)) continue;
      // A flood of nothing must not push handshakes and probes out of the queue.
      if (!packet_type(packet)) {
        p_.metrics.add(Metric::kDropGarbage);
        continue;
      }
      punt({Punt::Kind::kDatagram, 0, 0, from, to_bytes(packet)});
    }
  }

  // False if the tables do not know the session: the control thread then opens it.
  bool open_and_deliver(MutableBytes packet, const Endpoint& from) {
    const std::uint32_t index = DataHeader::parse(packet)->receiver_index;
    const ForwardingTables& tables = p_.tables.read();
    const auto found = tables.by_index.find(index);
    if (found == tables.by_index.end()) return false;
    const ReceiveEntry& entry = found->second;
    OpenFailure why = OpenFailure::kNone;
    const auto plain = entry.keys->opener->open(packet, &why);
    if (!plain) {
      p_.metrics.add(why == OpenFailure::kReplayed ? Metric::kDropReplayed : Metric::kDropForged);
      return true;
    }
    // From elsewhere it says nothing of the path in use; the control thread accounts for it.
    if (from == entry.from) entry.keys->last_received_ns.store(now_ns(), std::memory_order_relaxed);
    entry.keys->bytes_in.fetch_add(packet.size(), std::memory_order_relaxed);
    if (from == entry.from && deliverable(*plain, entry, tables)) {
      write_tap(plain->subspan(1));
    } else {
      punt({Punt::Kind::kOpened, 0, index, from, to_bytes(*plain)});
    }
    return true;
  }

  // Whether a worker may hand this to the host as it is: a frame from its sender's own addresses to
  // ours.
  static bool deliverable(ByteView plain, const ReceiveEntry& entry,
                          const ForwardingTables& tables) {
    if (plain[0] != static_cast<std::uint8_t>(DataKind::kFrame) || entry.source_mac == 0)
      return false;
    const ByteView frame = plain.subspan(1);
    const auto ip = ipv4_frame(frame);
    return ip && entry.source_ip.is_v4() && tables.own_ip.is_v4() &&
           mac_key(frame.data()) == tables.own_mac &&
           mac_key(frame.data() + 6) == entry.source_mac &&
           ip->source == entry.source_ip.v4_value() &&
           ip->destination == tables.own_ip.v4_value() && !steers_the_host(frame);
  }

  // What could reconfigure the host is judged by the control thread, which drops and counts it.
  static bool steers_the_host(ByteView frame) {
    const std::size_t header = static_cast<std::size_t>(frame[kEthernetHeaderBytes] & 15) * 4;
    const ByteView payload = frame.subspan(kEthernetHeaderBytes + header);
    switch (frame[kEthernetHeaderBytes + 9]) {
      case kProtocolIcmp:
        return payload.empty() || payload[0] == kIcmpRedirect;
      case kProtocolUdp:
        return payload.size() < 2 || get_big_endian(payload.data(), 2) == kDhcpServerPort;
      default:
        return false;
    }
  }

  void write_tap(ByteView frame) {
    if (write(p_.tap_fd, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size())) {
      p_.metrics.add(Metric::kFramesIn);
    } else {
      p_.metrics.add(Metric::kDropQueueFull);
    }
  }

  void tap_to_underlay() {
    const ForwardingTables& tables = p_.tables.read();
    salt_ = p_.random.u32();
    for (int i = 0; i < kFramesPerTurn; ++i) {
      PacketBuffer& buffer = buffers_[batch_.size()];
      buffer.clear();
      // One byte in front of the frame for the kind.
      const ssize_t got = read(p_.tap_fd, buffer.data() + 1, buffer.room().size() - 1);
      if (got < static_cast<ssize_t>(kEthernetHeaderBytes)) break;
      p_.metrics.add(Metric::kFramesOut);
      buffer.resize(static_cast<std::size_t>(got) + 1);
      if (!seal(buffer, tables)) {
        punt({Punt::Kind::kFrameOut, 0, 0, {}, to_bytes(buffer.view().subspan(1))});
      } else if (batch_.size() == UdpSocket::kBatch) {
        flush();
      }
    }
    flush();
  }

  // Seals a frame for whom its destination MAC names and puts it into the batch; false if the
  // tables do not say.
  bool seal(PacketBuffer& buffer, const ForwardingTables& tables) {
    const ByteView frame = buffer.view().subspan(1);
    const auto found = tables.by_mac.find(mac_key(frame.data()));
    if (found == tables.by_mac.end()) return false;
    const auto ip = ipv4_frame(frame);
    if (!ip || !tables.own_ip.is_v4() || ip->source != tables.own_ip.v4_value()) return false;
    SessionKeys& keys = *found->second.keys;
    buffer.data()[0] = static_cast<std::uint8_t>(DataKind::kFrame);
    Sealer& sealer = keys.lanes[lane_];
    sealer.set_salt(salt_);
    if (!sealer.seal(buffer)) return false;
    const std::int64_t now = now_ns();
    keys.last_sent_data_ns.store(now, std::memory_order_relaxed);
    keys.last_sent_frame_ns.store(now, std::memory_order_relaxed);
    keys.bytes_out.fetch_add(buffer.size(), std::memory_order_relaxed);
    batch_.push_back({found->second.to, buffer.view(), {}, 0});
    return true;
  }

  void flush() {
    if (!batch_.empty()) p_.socket.send(batch_, p_.metrics);
    batch_.clear();
  }

  void punt(Punt punt) {
    if (!p_.punts.push(std::move(punt))) p_.metrics.add(Metric::kDropQueueFull);
  }

  const Parts p_;
  const std::size_t lane_;
  int event_fd_ = -1;
  std::atomic<bool> stop_{false};
  std::uint32_t salt_ = 0;
  UdpReceiver receiver_;
  std::vector<PacketBuffer> buffers_;  // buffers_[i] belongs to batch_[i]
  std::vector<Datagram> batch_;
};

PacketWorker::PacketWorker(const Parts& parts)
    : loop_(std::make_unique<Loop>(parts)), thread_([this] { loop_->run(); }) {}

PacketWorker::~PacketWorker() {
  loop_->stop();
  thread_.join();
}

}  // namespace wow
