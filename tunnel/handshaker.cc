#include "tunnel/handshaker.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace wow {
namespace {

// Flight 1 begins with | flags 1 | replaced index 4 |, flight 2 with | flags 1 |.
constexpr std::size_t kFirstPrefixBytes = 5;
constexpr std::size_t kSecondPrefixBytes = 1;
// Strangers must not fill the log.
constexpr Duration kStrangerToldEvery = 1min;

}  // namespace

Handshaker::Handshaker(SessionParts& parts, Events& events)
    : parts_(parts), events_(events), tokens_(parts.random) {}

Handshaker::~Handshaker() = default;

Handshaker::Outgoing* Handshaker::attempt_at(const Address& peer, const Path& path) {
  for (auto& [index, attempt] : outgoing_) {
    // Whoever answers at one endpoint may be another than who answers at the next.
    if (attempt->peer == peer && (!peer.is_zero() || attempt->first_path == path))
      return attempt.get();
  }
  return nullptr;
}

bool Handshaker::dial(const Address& peer, const Path& path, std::uint32_t replaced_index) {
  if (Outgoing* under_way = attempt_at(peer, path)) {
    under_way->flight->send_on(path);
    return true;
  }
  const std::size_t more = path.is_stream() ? parts_.limits.stream_dials_max : 0;
  if (outgoing_.size() >= parts_.limits.dials_max + more) {
    parts_.metrics.add(Metric::kDropQueueFull);
    return false;
  }
  auto attempt = std::make_unique<Outgoing>();
  attempt->peer = peer;
  attempt->first_path = path;
  attempt->terms.initiator = parts_.credentials.address();
  attempt->terms.initiator_flags = ExchangeTerms::flags_of(parts_.limits.suite);
  attempt->terms.replaced_index = replaced_index;
  if (!begin(*attempt)) {
    parts_.metrics.add(Metric::kHandshakesFailed);
    return false;
  }
  parts_.metrics.add(Metric::kHandshakesStarted);
  RepeatedFlight& flight = *attempt->flight;
  outgoing_.emplace(attempt->terms.initiator_index, std::move(attempt));
  flight.send_on(path);
  return true;
}

bool Handshaker::begin(Outgoing& attempt) {
  attempt.exchange = parts_.credentials.initiate(attempt.peer);
  const auto step = attempt.exchange->start();
  if (step.state != KeyExchange::State::kContinue) return false;
  attempt.started = ++parts_.order;
  const std::uint32_t index = parts_.indexes.take(parts_.now());
  attempt.terms.initiator_index = index;
  HandshakeBody head;
  head.flight = 1;
  head.sender_index = index;
  Writer bytes;
  bytes.u8(attempt.terms.initiator_flags).u32(attempt.terms.replaced_index).bytes(step.send);
  attempt.flight = std::make_unique<RepeatedFlight>(parts_, attempt.peer, head, bytes.view());
  attempt.flight->repeat([this, index] { give_up(index, CloseReason::kTimeout); });
  return true;
}

bool Handshaker::is_dialling(const Address& peer) const {
  return std::ranges::any_of(outgoing_, [&](const auto& a) { return a.second->peer == peer; });
}

void Handshaker::abandon(const Address& peer) {
  std::erase_if(outgoing_, [&](const auto& a) {
    if (a.second->peer != peer) return false;
    parts_.indexes.give_back(a.first, parts_.now());
    return true;
  });
}

void Handshaker::begin_all_anew() {
  while (!incoming_.empty()) {
    const std::uint32_t index = incoming_.begin()->first;
    parts_.indexes.give_back(index, parts_.now());
    forget_incoming(index);
  }
  std::vector<std::pair<Address, std::vector<Path>>> attempts;
  for (const auto& [index, attempt] : outgoing_) {
    parts_.indexes.give_back(index, parts_.now());
    if (attempt->terms.replaced_index == 0)
      attempts.emplace_back(attempt->peer, attempt->flight->paths());
  }
  outgoing_.clear();
  for (const auto& [peer, paths] : attempts) {
    for (const Path& path : paths) {
      if (!dial(peer, path)) events_.on_given_up(peer, path, CloseReason::kTimeout);
    }
  }
}

void Handshaker::give_up(std::uint32_t index, CloseReason reason) {
  const auto node = outgoing_.extract(index);
  parts_.indexes.give_back(index, parts_.now());
  parts_.metrics.add(Metric::kHandshakesFailed);
  const Outgoing& attempt = *node.mapped();
  events_.on_given_up(attempt.peer, attempt.first_path, reason);
}

void Handshaker::on_packet(MutableBytes packet, const Path& path, const Sender& sender) {
  const auto opened = parts_.codec.open(packet);
  if (!opened.of_pool) return drop_stranger(path);
  if (!opened.body) return parts_.metrics.add(Metric::kDropMalformed);
  const HandshakeBody& body = *opened.body;
  if (body.flight == 1) {
    on_first(body, packet.size(), path, sender);
  } else if (body.flight == 2) {
    on_second(body, path);
  } else if (body.flight == 3) {
    on_third(body, path);
  } else if (body.flight == HandshakeBody::kRefer) {
    on_refer(body, packet.size(), path);
  } else {
    on_retry(body, path);
  }
}

// Silence, and no state but when it was last told.
void Handshaker::drop_stranger(const Path& path) {
  parts_.metrics.add(Metric::kDropStranger);
  const TimePoint now = parts_.now();
  if (stranger_told_ && now - *stranger_told_ < kStrangerToldEvery) return;
  stranger_told_ = now;
  log_warn("stranger ignored",
           {{"path", path.text()}, {"why", "not sealed under this pool's key"}});
}

void Handshaker::on_retry(const HandshakeBody& body, const Path& path) {
  const auto found = outgoing_.find(body.receiver_index);
  if (found == outgoing_.end() || body.token.empty() ||
      !found->second->flight->send_with_token(path, body.token))
    parts_.metrics.add(Metric::kDropMalformed);
}

// Only where anybody will do: who is meant by name is asked again.
void Handshaker::on_refer(const HandshakeBody& body, std::size_t packet_bytes, const Path& path) {
  const auto found = outgoing_.find(body.receiver_index);
  if (found == outgoing_.end() || !found->second->peer.is_zero()) return;
  if (found->second->first_path != path) return parts_.metrics.add(Metric::kDropMalformed);
  std::vector<Endpoint> endpoints;
  Reader in(body.bytes);
  while (in.remaining() > 0 && endpoints.size() < Sessions::kReferralsMax) {
    const auto endpoint = Endpoint::from_bytes(in.take(in.u8()));
    if (!in.ok() || !endpoint) return parts_.metrics.add(Metric::kDropMalformed);
    endpoints.push_back(*endpoint);
  }
  // Nobody to name yet: it may have room when we ask again.
  if (!endpoints.empty()) parts_.listener.on_referred(path, endpoints, packet_bytes);
}

void Handshaker::on_second(const HandshakeBody& body, const Path& path) {
  const auto found = outgoing_.find(body.receiver_index);
  if (found == outgoing_.end()) return;  // a duplicate, mostly
  Outgoing& attempt = *found->second;
  const auto flight = assembler_.add(path, body);
  if (!flight) return;
  if (flight->size() <= kSecondPrefixBytes) return parts_.metrics.add(Metric::kDropMalformed);
  attempt.terms.responder_index = body.sender_index;
  attempt.terms.responder_flags = flight->front();
  auto step = attempt.exchange->on_flight(ByteView(*flight).subspan(kSecondPrefixBytes));
  if (step.state == KeyExchange::State::kDone)
    return complete(attempt, body, path, std::move(step.send));
  log_debug("handshake refused", {{"path", path.text()}, {"why", step.why}});
  begin_again(attempt);
}

// Somebody on the way may have put a false flight before the true one; so one failure is not
// believed.
void Handshaker::begin_again(Outgoing& attempt) {
  const std::uint32_t index = attempt.terms.initiator_index;
  if (++attempt.failures >= kFailuresMax) return give_up(index, CloseReason::kRefused);
  auto node = outgoing_.extract(index);
  parts_.indexes.give_back(index, parts_.now());
  const std::vector<Path> paths = attempt.flight->paths();
  if (!begin(attempt)) {
    parts_.metrics.add(Metric::kHandshakesFailed);
    return events_.on_given_up(attempt.peer, attempt.first_path, CloseReason::kRefused);
  }
  RepeatedFlight& flight = *attempt.flight;
  outgoing_.emplace(attempt.terms.initiator_index, std::move(node.mapped()));
  for (const Path& path : paths) flight.send_on(path);
}

bool Handshaker::acceptable(const PeerIdentity& peer, CloseReason* why) {
  *why = CloseReason::kRefused;
  if (peer.address == parts_.credentials.address()) return false;
  if (parts_.credentials.welcome(peer)) return true;
  parts_.metrics.add(Metric::kRevokedRefused);
  *why = CloseReason::kRevoked;
  return false;
}

void Handshaker::complete(Outgoing& attempt, const HandshakeBody& body, const Path& path,
                          Bytes last_flight) {
  const std::uint32_t index = attempt.terms.initiator_index;
  Agreement out;
  out.peer = attempt.exchange->peer();
  CloseReason why;
  if (!acceptable(out.peer, &why)) return give_up(index, why);
  out.initiated = true;
  out.dialled_anybody = attempt.peer.is_zero();
  out.continues = attempt.terms.continues();
  out.replaced_index = attempt.terms.replaced_index;
  out.started = attempt.started;
  out.path = path;
  out.round_trip = attempt.flight->round_trip();
  out.send_index = body.sender_index;
  bool was_asked = !path.is_direct();
  for (const Path& other : attempt.flight->paths()) {
    if (other != path) out.other_paths.push_back(other);
    was_asked |= other == path;
  }
  if (!events_.admits(out)) return give_up(index, CloseReason::kReplaced);

  attempt.terms.responder = out.peer.address;
  out.keys = make_session_keys(*attempt.exchange, attempt.terms, true, parts_.limits.workers,
                               parts_.limits.phase_packets);
  HandshakeBody head;
  head.flight = 3;
  head.sender_index = index;
  head.receiver_index = body.sender_index;
  out.last_flight = std::make_unique<RepeatedFlight>(parts_, out.peer.address, head, last_flight);
  outgoing_.erase(index);  // and the exchange with it; the index lives on in the session
  parts_.metrics.add(Metric::kHandshakesDone);
  if (was_asked) {
    out.last_flight->send_on(path);
  } else {
    // It may be a forged address: with the checks that follow, more copies would be more than three
    // times what came from there (RFC 9000, 8.1).
    out.last_flight->send_once(path);
  }
  events_.on_agreed(std::move(out));
}

}  // namespace wow
