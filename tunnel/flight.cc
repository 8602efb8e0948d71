#include "tunnel/flight.h"

#include <algorithm>
#include <cassert>

#include "tunnel/handshake_codec.h"

namespace wow {

std::vector<HandshakeBody> cut_flight(const HandshakeBody& head, ByteView flight) {
  const std::size_t count = std::max<std::size_t>(
      1, (flight.size() + HandshakeCodec::kPieceBytesMax - 1) / HandshakeCodec::kPieceBytesMax);
  assert(count <= HandshakeCodec::kFragmentsMax);
  std::vector<HandshakeBody> out(count, head);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * HandshakeCodec::kPieceBytesMax;
    out[i].fragment = static_cast<std::uint8_t>(i);
    out[i].fragments = static_cast<std::uint8_t>(count);
    out[i].bytes = to_bytes(
        flight.subspan(from, std::min(HandshakeCodec::kPieceBytesMax, flight.size() - from)));
  }
  return out;
}

std::optional<Bytes> FlightAssembler::add(const Path& path, const HandshakeBody& body) {
  if (body.fragments == 1) return body.bytes;
  if (body.fragments > HandshakeCodec::kFragmentsMax) return std::nullopt;
  auto found = std::ranges::find_if(partial_, [&](const Partial& p) {
    return p.path == path && p.flight == body.flight && p.sender_index == body.sender_index &&
           p.receiver_index == body.receiver_index && p.pieces.size() == body.fragments;
  });
  if (found == partial_.end()) {
    if (partial_.size() >= kFlightsMax) partial_.pop_front();
    partial_.push_back({path, body.flight, body.sender_index, body.receiver_index,
                        std::vector<std::optional<Bytes>>(body.fragments)});
    found = std::prev(partial_.end());
  }
  found->pieces[body.fragment] = body.bytes;
  if (!std::ranges::all_of(found->pieces, [](const auto& piece) { return piece.has_value(); }))
    return std::nullopt;
  Bytes whole;
  for (const auto& piece : found->pieces) whole.insert(whole.end(), piece->begin(), piece->end());
  partial_.erase(found);
  return whole;
}

}  // namespace wow
