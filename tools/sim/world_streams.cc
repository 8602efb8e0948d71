// Streams of the simulated internet: a TCP connection as its users see it. Whoever listens has an
// address of its own on the internet; whoever dials may be behind NATs. Nothing tells an end that
// the other one is gone: it finds out as sessions do.
#include <algorithm>

#include "tools/sim/world.h"

namespace wow {
namespace {

constexpr std::uint16_t kFirstPort = 40'000;
constexpr Duration kDialLimit = 8s;

}  // namespace

// What others see. Who accepts streams dials from the port at which it does, and its NAT makes one
// port of that for all, the same for the first host behind it; else each stream has its own port.
Endpoint World::stream_source(SimHost& from) {
  const SimHost::Attachment& out = from.attachments_.front();
  Site* outermost = out.site;
  while (outermost != nullptr && outermost->parent != nullptr) outermost = outermost->parent;
  const bool translated = outermost != nullptr && outermost->gateway.rules().translate;
  const IpAddress ip = translated ? outermost->gateway.outside() : out.ip;
  if (translated && from.accepts_streams_ && outermost->keeps_port_ == nullptr)
    outermost->keeps_port_ = &from;
  if (from.accepts_streams_ && (!translated || outermost->keeps_port_ == &from))
    return {ip, SimHost::kPort, Carrier::kTcp};
  const std::uint32_t n = from.accepts_streams_ ? 0 : ++from.next_stream_port_;
  return {ip, static_cast<std::uint16_t>(kFirstPort + (from.id_ * 97 + n) % 20'000), Carrier::kTcp};
}

// Who takes a stream: a listener on the internet, or whoever dials where it comes from, from where
// it goes to, at the same time.
SimHost* World::stream_peer(const SimHost& from, const Endpoint& source, const Endpoint& to) {
  if (const Place* place = find(nullptr, to.ip); place != nullptr && place->host != nullptr) {
    SimHost* const peer = place->host;
    return peer->up_ && peer->accepts_streams_ && to.port == SimHost::kPort ? peer : nullptr;
  }
  std::erase_if(knocks_, [&](const auto& k) { return k.second.until < now_; });
  if (const auto other = knocks_.extract({to, source})) return hosts_[other.mapped().host].get();
  knocks_[{source, to}] = {from.id_, now_ + kDialLimit};
  return nullptr;
}

SimHost::StreamEnd* World::dial_stream(SimHost& from, const Endpoint& to) {
  if (to.carrier != Carrier::kTcp || from.attachments_.empty()) return nullptr;
  Endpoint source = stream_source(from);
  SimHost* const peer = stream_peer(from, source, to);
  if (peer == nullptr || (blocked_ && blocked_(from, *peer))) return nullptr;
  // Of two that dialled each other each has a stream that it dialled.
  const Place* place = find(nullptr, to.ip);
  if (place != nullptr && place->host == peer) source.carrier = Carrier::kAccepted;
  // The connection takes a round trip before it carries anything.
  const TimePoint ready = now_ + 2 * link_of_(from, *peer).latency;
  peer->streams_[source] = {from.id_, to, ready};
  return &(from.streams_[to] = {peer->id_, source, ready});
}

void World::transmit_stream(SimHost& from, const Datagram& datagram) {
  const auto known = from.streams_.find(datagram.to);
  SimHost::StreamEnd* end = known == from.streams_.end() ? nullptr : &known->second;
  if (end == nullptr && datagram.to.can_be_dialled()) end = dial_stream(from, datagram.to);
  if (end == nullptr) {
    ++drops_.unreachable;
    return;
  }
  const SimHost& peer = *hosts_[end->peer];
  end->ready = std::max(end->ready, now_) + 1us;
  const TimePoint at = end->ready + link_of_(from, peer).latency;
  Bytes bytes(datagram.head.begin(), datagram.head.end());
  bytes.insert(bytes.end(), datagram.body.begin(), datagram.body.end());
  ++from.counters_.datagrams_out;
  from.counters_.bytes_out += bytes.size();
  events_.add(at, {}, [this, end = *end, sender = from.id_, bytes = std::move(bytes)]() mutable {
    arrive_by_stream(end, sender, bytes);
  });
}

void World::arrive_by_stream(const SimHost::StreamEnd& end, std::uint32_t sender, Bytes& bytes) {
  SimHost& host = *hosts_[end.peer];
  const bool known = host.streams_.contains(end.mirrored);
  if (!known || !host.up_ || !host.receiver_ || host.paused_until_ > now_ ||
      (blocked_ && blocked_(*hosts_[sender], host))) {
    ++drops_.unreachable;
    return;
  }
  ++host.counters_.datagrams_in;
  host.counters_.bytes_in += bytes.size();
  Flight flight;
  flight.way.sender = sender;
  flight.bytes = bytes;
  trace(flight, host);
  const auto receiver = host.receiver_;
  receiver(bytes, end.mirrored);
}

}  // namespace wow
