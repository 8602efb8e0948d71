#include "overlay/messages.h"

#include <algorithm>

#include "overlay/limits.h"
#include "overlay/node.h"

namespace wow {

void Messages::send(const Address& to, std::uint8_t service, ByteView message, Answer answer) {
  if (is_open(to)) {
    transmit(to, service, message, answer);
  } else {
    stage(to, service, message);
  }
}

void Messages::send_frame(const Address& to, ByteView frame, std::uint8_t facts) {
  Bytes message{facts};
  message.insert(message.end(), frame.begin(), frame.end());
  transmit_pieces(static_cast<std::uint8_t>(Service::kFrame), message, [&](ByteView piece) {
    hub_.sessions.send(to, DataKind::kFrame, piece, kFactPiece);
  });
}

void Messages::on_open(const Address& peer) {
  auto waiting = outboxes_.extract(peer);
  if (waiting.empty()) return;
  outbox_bytes_ -= waiting.mapped().bytes;
  for (const Waiting& w : waiting.mapped().messages)
    transmit(peer, w.service, w.message, Answer::kExpected);
}

void Messages::give_up(const Address& peer) {
  const auto waiting = outboxes_.extract(peer);
  if (waiting.empty()) return;
  outbox_bytes_ -= waiting.mapped().bytes;
  hub_.metrics.add(Metric::kDropNoRoute, waiting.mapped().messages.size());
}

bool Messages::is_open(const Address& peer) const {
  const Session* session = hub_.sessions.find(peer);
  return session != nullptr && session->state() == SessionState::kOpen;
}

void Messages::transmit(const Address& to, std::uint8_t service, ByteView message, Answer answer) {
  transmit_pieces(service, message, [&](ByteView piece) {
    hub_.sessions.send(to, DataKind::kControl, piece, 0, answer);
  });
}

void Messages::transmit_pieces(std::uint8_t service, ByteView message,
                               const std::function<void(ByteView piece)>& out) {
  MessageHeader header;
  header.service = service;
  header.message = next_message_++;
  header.pieces = static_cast<std::uint8_t>(
      std::max<std::size_t>(1, (message.size() + ring::kPieceBytes - 1) / ring::kPieceBytes));
  Bytes packet;
  for (header.piece = 0; header.piece < header.pieces; ++header.piece) {
    const std::size_t begin = header.piece * ring::kPieceBytes;
    const ByteView piece =
        message.subspan(begin, std::min(ring::kPieceBytes, message.size() - begin));
    packet.resize(MessageHeader::kBytes);
    header.write(packet.data());
    packet.insert(packet.end(), piece.begin(), piece.end());
    out(packet);
  }
}

void Messages::stage(const Address& to, std::uint8_t service, ByteView message) {
  if (outbox_bytes_ + message.size() > ring::kOutboxBytesMax) {
    return hub_.metrics.add(Metric::kDropQueueFull);
  }
  Outbox& outbox = outboxes_[to];
  outbox.messages.push_back({service, to_bytes(message), hub_.clock.now()});
  outbox.bytes += message.size();
  outbox_bytes_ += message.size();
  while (outbox.messages.size() > ring::kOutboxMessagesPerPeer ||
         outbox.bytes > ring::kOutboxBytesPerPeer) {
    drop_oldest(outbox, Metric::kDropQueueFull);
  }
}

void Messages::drop_oldest(Outbox& outbox, Metric why) {
  const std::size_t bytes = outbox.messages.front().message.size();
  outbox.messages.pop_front();
  outbox.bytes -= bytes;
  outbox_bytes_ -= bytes;
  hub_.metrics.add(why);
}

void Messages::on_piece(const Address& from, ByteView packet) {
  const auto header = MessageHeader::parse(packet);
  if (!header || packet.size() > MessageHeader::kBytes + ring::kPieceBytes) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  const ByteView body = packet.subspan(MessageHeader::kBytes);
  if (header->pieces == 1) return deliver_(from, header->service, body);
  if (partial_bytes_ + body.size() > ring::kPartialBytesMax) {
    return hub_.metrics.add(Metric::kDropQueueFull);
  }
  Partial& partial = partial_of(from, *header);
  Bytes& piece = partial.pieces[header->piece];
  if (!piece.empty() || body.empty()) return;
  piece = to_bytes(body);
  partial.bytes += body.size();
  partial_bytes_ += body.size();
  if (--partial.missing > 0) return;
  Bytes message;
  message.reserve(partial.bytes);
  for (const Bytes& p : partial.pieces) message.insert(message.end(), p.begin(), p.end());
  erase_partial(from, &partial - partials_[from].data());
  deliver_(from, header->service, message);
}

Messages::Partial& Messages::partial_of(const Address& from, const MessageHeader& header) {
  auto& list = partials_[from];
  for (Partial& p : list) {
    if (p.message == header.message && p.service == header.service &&
        p.pieces.size() == header.pieces) {
      return p;
    }
  }
  if (list.size() >= ring::kPartialsPerPeer) {
    hub_.metrics.add(Metric::kDropQueueFull);
    erase_partial(from, 0);
  }
  Partial partial;
  partial.service = header.service;
  partial.message = header.message;
  partial.pieces.resize(header.pieces);
  partial.missing = header.pieces;
  partial.begun = hub_.clock.now();
  // By reference to the map: erasing the last partial erases the peer's list.
  return partials_[from].emplace_back(std::move(partial));
}

void Messages::sweep() {
  const TimePoint now = hub_.clock.now();
  // Whoever found no room among the links is not given up by them.
  for (auto& [peer, outbox] : outboxes_) {
    while (!outbox.messages.empty() && now - outbox.messages.front().since > ring::kOutboxLife) {
      drop_oldest(outbox, Metric::kDropNoRoute);
    }
  }
  std::erase_if(outboxes_, [](const auto& entry) { return entry.second.messages.empty(); });
  std::vector<Address> peers;
  for (const auto& [peer, list] : partials_) peers.push_back(peer);
  for (const Address& peer : peers) {
    for (std::size_t i = partials_[peer].size(); i-- > 0;) {
      const auto it = partials_.find(peer);
      if (now - it->second[i].begun < ring::kPartialLife) continue;
      erase_partial(peer, i);
    }
  }
}

void Messages::forget(const Address& peer) {
  const auto it = partials_.find(peer);
  if (it == partials_.end()) return;
  for (const Partial& p : it->second) partial_bytes_ -= p.bytes;
  partials_.erase(it);
}

void Messages::erase_partial(const Address& peer, std::size_t at) {
  auto& list = partials_[peer];
  partial_bytes_ -= list[at].bytes;
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
  if (list.empty()) partials_.erase(peer);
}

}  // namespace wow
