#include "tunnel/repeated_flight.h"

#include <algorithm>

namespace wow {
namespace {
constexpr Duration kIntervalMax = 2s;
}

RepeatedFlight::RepeatedFlight(SessionParts& parts, const Address& peer, const HandshakeBody& head,
                               ByteView flight)
    : parts_(parts),
      peer_(peer),
      bodies_(cut_flight(head, flight)),
      interval_(parts.limits.handshake_retransmit),
      timer_(parts.clock) {}

void RepeatedFlight::send_on(const Path& path) {
  auto way = std::ranges::find(ways_, path, &Way::path);
  if (way == ways_.end()) {
    if (ways_.size() >= parts_.limits.paths_max) return send_once(path);
    ways_.push_back({path, {}});
    way = std::prev(ways_.end());
  }
  send(*way);
}

void RepeatedFlight::send_once(const Path& path) { send({path, {}}); }

bool RepeatedFlight::send_with_token(const Path& path, Bytes token) {
  const auto way = std::ranges::find(ways_, path, &Way::path);
  if (way == ways_.end() || !way->token.empty()) return false;
  way->token = std::move(token);
  send(*way);
  return true;
}

void RepeatedFlight::repeat(std::function<void()> give_up) {
  give_up_ = std::move(give_up);
  tries_ = 1;
  timer_.after(parts_.random.jittered(interval_, 0.1), [this] { on_timer(); });
}

void RepeatedFlight::on_timer() {
  if (tries_++ >= parts_.limits.handshake_tries) {
    const auto give_up = std::move(give_up_);
    return give_up();
  }
  interval_ = std::min(interval_ * 2, kIntervalMax);
  timer_.after(parts_.random.jittered(interval_, 0.1), [this] { on_timer(); });
  // Sending may lead anywhere above, but not back to this flight.
  for (const Way& way : ways_) send(way);
}

void RepeatedFlight::send(const Way& way) {
  const bool pad = bodies_.front().flight == 1 && way.path.is_direct();
  const std::size_t bytes_min = !pad              ? 0
                                : peer_.is_zero() ? kFirstFlightBytesMin
                                                  : kNamedFlightBytes;
  std::vector<Bytes> packets;
  std::size_t bytes = 0;
  for (HandshakeBody& body : bodies_) {
    body.token = way.token;
    packets.push_back(parts_.codec.seal(body, bytes_min));
    bytes += packets.back().size();
  }
  // Who sent a token back receives there.
  const bool unproven = pad && way.token.empty();
  if (unproven && !parts_.listener.may_dial(peer_, way.path, bytes)) return;
  sent_at_ = parts_.now();
  for (const Bytes& packet : packets) parts_.send(peer_, way.path, packet);
}

std::vector<Path> RepeatedFlight::paths() const {
  std::vector<Path> out;
  for (const Way& way : ways_) out.push_back(way.path);
  return out;
}

Duration RepeatedFlight::round_trip() const {
  return tries_ <= 1 && ways_.size() == 1 && ways_[0].token.empty() ? parts_.now() - sent_at_
                                                                    : Duration();
}

}  // namespace wow
