// Handshaker as responder: nothing is stored for a stranger, little for a member who has not shown
// that it receives what it asks for, and never more than the bounds in all.
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tunnel/handshaker.h"

namespace wow {
namespace {

constexpr std::size_t kFirstPrefixBytes = 5;  // | flags 1 | replaced index 4 |

}  // namespace

void Handshaker::on_first(const HandshakeBody& body, std::size_t packet_bytes, const Path& path,
                          const Sender& sender) {
  if (body.receiver_index != 0) return parts_.metrics.add(Metric::kDropMalformed);
  const std::size_t begun = begun_from(path, sender);
  // A token is asked for before even a fragment is stored; of a host that seems to begin many
  // earlier, as its address may be another's invention.
  const std::size_t max = parts_.limits.handshakes_max;
  if (path.is_direct() && (incoming_.size() >= max / 2 || begun > max / 8) &&
      !tokens_.valid(body.token, path.endpoint, parts_.now())) {
    return incoming_.size() >= max ? refer(body, packet_bytes, path) : ask_for_token(body, path);
  }
  const auto flight = assembler_.add(path, body);
  if (!flight) return;
  if (flight->size() <= kFirstPrefixBytes) return parts_.metrics.add(Metric::kDropMalformed);

  Arrival arrival{path, sender, body.fragments == 1 ? packet_bytes : flight->size(), 0, {}, 0, 0};
  Digest digest;
  const Bytes named = concat({Writer().u32(body.sender_index).view(), *flight});
  SHA256(named.data(), named.size(), digest.data());
  const auto known = by_first_flight_.find(digest);
  if (known == by_first_flight_.end()) {
    if (!may_begin(path, begun)) {
      if (path.is_direct()) refer(body, packet_bytes, path);
      return parts_.metrics.add(Metric::kDropQueueFull);
    }
    return answer(body, *flight, digest, arrival);
  }
  if (known->second == 0) return;
  Incoming& handshake = *incoming_.at(known->second);
  auto& arrivals = handshake.arrivals;
  auto before = std::ranges::find(arrivals, path, &Arrival::path);
  if (before == arrivals.end()) {
    if (arrivals.size() >= kIncomingPathsMax) return parts_.metrics.add(Metric::kDropQueueFull);
    arrivals.push_back(arrival);
    before = std::prev(arrivals.end());
  } else {
    before->received += arrival.received;
  }
  reply(handshake, *before);
}

void Handshaker::ask_for_token(const HandshakeBody& body, const Path& path) {
  HandshakeBody retry;
  retry.flight = HandshakeBody::kRetry;
  retry.sender_index = body.sender_index;  // we have none: nothing is stored
  retry.receiver_index = body.sender_index;
  retry.token = tokens_.make(path.endpoint, parts_.now());
  parts_.metrics.add(Metric::kRetryTokensSent);
  parts_.send({}, path, parts_.codec.seal(retry));
}

// Nothing is stored. Long enough to pay for one first flight (Listener::may_dial), but not padded
// beyond what it answers, whose source may be another's address.
void Handshaker::refer(const HandshakeBody& body, std::size_t packet_bytes, const Path& path) {
  Writer list;
  for (const Endpoint& e : parts_.listener.referrals()) {
    const Bytes bytes = e.bytes();
    list.u8(static_cast<std::uint8_t>(bytes.size())).bytes(bytes);
  }
  HandshakeBody out;
  out.flight = HandshakeBody::kRefer;
  out.sender_index = body.sender_index;
  out.receiver_index = body.sender_index;
  out.bytes = list.take();
  parts_.metrics.add(Metric::kReferred);
  parts_.send({}, path, parts_.codec.seal(out, std::min(packet_bytes, kNamedFlightBytes)));
}

// How many were begun by the same host; or, along the ring, came through the same neighbour.
std::size_t Handshaker::begun_from(const Path& path, const Sender& sender) const {
  return static_cast<std::size_t>(std::ranges::count_if(incoming_, [&](const auto& entry) {
    const Arrival& first = entry.second->arrivals.front();
    if (first.path.is_direct() != path.is_direct()) return false;
    return path.is_direct() ? first.path.endpoint.ip == path.endpoint.ip
                            : first.sender.ingress == sender.ingress;
  }));
}

bool Handshaker::may_begin(const Path& path, std::size_t before) const {
  const std::size_t max = parts_.limits.handshakes_max;
  if (incoming_.size() >= max) return false;
  const std::size_t quarter = std::max<std::size_t>(1, max / 4);
  if (path.is_direct()) return before < quarter;
  // Routed handshakes cannot be asked for a token: they share three quarters, so that a flood along
  // the ring leaves room for direct ones; and no neighbour may fill it for the others.
  return routed_incoming_ < max - quarter && before < std::max<std::size_t>(1, max / 2);
}

void Handshaker::answer(const HandshakeBody& body, ByteView flight, const Digest& digest,
                        const Arrival& arrival) {
  auto handshake = std::make_unique<Incoming>(parts_.clock);
  ExchangeTerms& terms = handshake->terms;
  Reader in(flight);
  terms.initiator_flags = in.u8();
  terms.replaced_index = in.u32();
  const bool continues = terms.replaced_index != 0 && events_.holds(terms.replaced_index);
  if (!continues && !events_.may_have_room()) return parts_.metrics.add(Metric::kHandshakesFailed);
  handshake->exchange = parts_.credentials.answer();
  const auto step = handshake->exchange->on_flight(in.rest());
  if (step.state != KeyExchange::State::kContinue) {
    log_debug("handshake refused", {{"path", arrival.path.text()}, {"why", step.why}});
    return parts_.metrics.add(Metric::kHandshakesFailed);
  }
  const std::uint32_t index = parts_.indexes.take(parts_.now());
  terms.responder = parts_.credentials.address();
  terms.responder_flags = static_cast<std::uint8_t>(ExchangeTerms::flags_of(parts_.limits.suite) |
                                                    (continues ? ExchangeTerms::kContinues : 0));
  terms.initiator_index = body.sender_index;
  terms.responder_index = index;
  handshake->started = ++parts_.order;
  handshake->first_flight = digest;
  handshake->routed = !arrival.path.is_direct();
  HandshakeBody head;
  head.flight = 2;
  head.sender_index = index;
  head.receiver_index = body.sender_index;
  handshake->reply = cut_flight(head, Writer().u8(terms.responder_flags).bytes(step.send).view());
  handshake->arrivals.push_back(arrival);
  handshake->expiry.after(kIncomingLife, [this, index] {
    parts_.indexes.give_back(index, parts_.now());
    parts_.metrics.add(Metric::kHandshakesFailed);
    forget_incoming(index);
  });
  parts_.metrics.add(Metric::kHandshakesAnswered);
  if (handshake->routed) ++routed_incoming_;
  by_first_flight_.emplace(digest, index);
  Incoming& kept = *incoming_.emplace(index, std::move(handshake)).first->second;
  reply(kept, kept.arrivals.front());
}

void Handshaker::reply(Incoming& handshake, Arrival& arrival) {
  const TimePoint now = parts_.now();
  if (arrival.replies > 0 && now - arrival.replied_at < kReplyGap)
    return parts_.metrics.add(Metric::kDropRateLimited);
  arrival.replied_at = now;
  ++arrival.replies;
  const Path path = arrival.path;
  const Address source = arrival.sender.source;
  std::vector<Bytes> packets;
  // Each copy goes on where the one before had to end.
  const std::size_t count = handshake.reply.size(), first = arrival.next;
  for (std::size_t i = 0; i < count; ++i) {
    arrival.next = (first + i) % count;
    Bytes packet = parts_.codec.seal(handshake.reply[arrival.next]);
    const std::size_t allowed =
        arrival.received * static_cast<std::size_t>(parts_.limits.amplification);
    if (path.is_direct() && arrival.sent + packet.size() > allowed) {
      parts_.metrics.add(Metric::kDropAmplification);
      break;
    }
    arrival.sent += packet.size();
    packets.push_back(std::move(packet));
    arrival.next = (arrival.next + 1) % count;
  }
  for (const Bytes& packet : packets) parts_.send(source, path, packet);
}

void Handshaker::on_third(const HandshakeBody& body, const Path& path) {
  const std::uint32_t index = body.receiver_index;
  const auto found = incoming_.find(index);
  if (found == incoming_.end()) return events_.on_late_flight(index, path);
  Incoming& handshake = *found->second;
  if (handshake.terms.initiator_index != body.sender_index)
    return parts_.metrics.add(Metric::kDropMalformed);
  const auto flight = assembler_.add(path, body);
  if (!flight) return;

  Agreement out;
  const auto step = handshake.exchange->on_flight(*flight);
  CloseReason why;
  const bool proven = step.state == KeyExchange::State::kDone &&
                      acceptable(out.peer = handshake.exchange->peer(), &why);
  out.continues = handshake.terms.continues();
  out.replaced_index = handshake.terms.replaced_index;
  out.started = handshake.started;
  out.path = path;
  out.send_index = body.sender_index;
  if (!proven || !events_.admits(out)) {
    log_debug("handshake refused", {{"path", path.text()}, {"why", step.why}});
    parts_.metrics.add(Metric::kHandshakesFailed);
    parts_.indexes.give_back(index, parts_.now());
    return forget_incoming(index);
  }
  for (const Arrival& arrival : handshake.arrivals) {
    if (arrival.path != path) {
      out.other_paths.push_back(arrival.path);
    } else if (arrival.replies == 1) {
      out.round_trip = parts_.now() - arrival.replied_at;
    }
  }
  handshake.terms.initiator = out.peer.address;
  out.keys = make_session_keys(*handshake.exchange, handshake.terms, false, parts_.limits.workers,
                               parts_.limits.phase_packets);
  out.early = std::move(handshake.early);
  early_packets_ -= out.early.size();
  const Digest first_flight = handshake.first_flight;
  forget_incoming(index);
  remember_done(first_flight);
  parts_.metrics.add(Metric::kHandshakesDone);
  events_.on_agreed(std::move(out));
}

void Handshaker::forget_incoming(std::uint32_t index) {
  const auto node = incoming_.extract(index);
  const Incoming& handshake = *node.mapped();
  if (handshake.routed) --routed_incoming_;
  early_packets_ -= handshake.early.size();
  by_first_flight_.erase(handshake.first_flight);
}

void Handshaker::remember_done(const Digest& first_flight) {
  const TimePoint now = parts_.now();
  while (!done_.empty() &&
         (done_.front().until <= now || done_.size() >= parts_.limits.handshakes_max)) {
    by_first_flight_.erase(done_.front().first_flight);
    done_.pop_front();
  }
  by_first_flight_.emplace(first_flight, 0);
  done_.push_back({now + kIncomingLife, first_flight});
}

bool Handshaker::keep_early(std::uint32_t index, ByteView packet, const Path& path) {
  const auto found = incoming_.find(index);
  if (found == incoming_.end()) return false;
  auto& early = found->second->early;
  if (early.size() >= kEarlyPacketsMax || early_packets_ >= kEarlyPacketsInAllMax) {
    parts_.metrics.add(Metric::kDropQueueFull);
    return true;
  }
  early.push_back({to_bytes(packet), path});
  ++early_packets_;
  return true;
}

}  // namespace wow
