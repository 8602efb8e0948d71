// A flight of a key exchange on its way: cut into handshake packets, and put together again from
// fragments that arrive in any order.
#pragma once

#include <list>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "proto/headers.h"
#include "tunnel/path.h"

namespace wow {

// `head` with its flight number, indexes and token, once for each piece of `flight`.
std::vector<HandshakeBody> cut_flight(const HandshakeBody& head, ByteView flight);

// Collects fragments. Bounded: beyond the bound the oldest unfinished flight is forgotten, and its
// retransmission begins it anew.
class FlightAssembler {
 public:
  static constexpr std::size_t kFlightsMax = 64;

  // The whole flight once its last fragment is there; at once if it has only one. Fragments from
  // different paths never mix, so that nobody off a path can spoil what comes along it.
  std::optional<Bytes> add(const Path& path, const HandshakeBody& body);
  std::size_t unfinished() const { return partial_.size(); }

 private:
  struct Partial {
    Path path;
    std::uint8_t flight;
    std::uint32_t sender_index;
    std::uint32_t receiver_index;
    std::vector<std::optional<Bytes>> pieces;
  };
  std::list<Partial> partial_;  // the oldest first
};

}  // namespace wow
