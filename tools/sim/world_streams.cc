// Streams of the simulated internet: a TCP connection as its users see it. Whoever listens has an
// address of its own on the internet; whoever dials may be behind NATs. Nothing tells an end that
// the other one is gone: it finds out as sessions do.
#include <algorithm>

#include "tools/sim/world.h"

namespace wow {
namespace {

constexpr std::uint16_t kFirstPort = 40'000;

}  // namespace

SimHost::StreamEnd* World::dial_stream(SimHost& from, const Endpoint& to) {
  const Place* place = to.carrier == Carrier::kTcp ? find(nullptr, to.ip) : nullptr;
  SimHost* const peer = place == nullptr ? nullptr : place->host;
  const bool open = peer != nullptr && peer->up_ && peer->accepts_streams_ &&
                    to.port == SimHost::kPort && !from.attachments_.empty() &&
                    !(blocked_ && blocked_(from, *peer));
  if (!open) return nullptr;
  const SimHost::Attachment& out = from.attachments_.front();
  Site* outermost = out.site;
  while (outermost != nullptr && outermost->parent != nullptr) outermost = outermost->parent;
  const bool translated = outermost != nullptr && outermost->gateway.rules().translate;
  // A port of its own for each, whoever shares the address.
  const auto port =
      static_cast<std::uint16_t>(kFirstPort + (from.id_ * 97 + from.next_stream_port_++) % 20'000);
  const Endpoint source{translated ? outermost->gateway.outside() : out.ip, port,
                        Carrier::kAccepted};
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
