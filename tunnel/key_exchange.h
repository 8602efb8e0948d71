// One authenticated key exchange, as flights of bytes: TLS 1.3 in the daemon, a stand-in in the
// simulator that skips the arithmetic, never the messages. The two sides strictly alternate:
// initiator, responder, initiator.
#pragma once

#include <memory>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "tunnel/peer_identity.h"

namespace wow {

class KeyExchange {
 public:
  enum class State { kContinue, kDone, kFailed };
  struct Step {
    State state = State::kContinue;
    Bytes send;       // the next flight; may be non-empty with kDone (the initiator's last)
    std::string why;  // kFailed: one sentence for the log
  };

  virtual ~KeyExchange() = default;
  // Initiator only: the first flight.
  virtual Step start() = 0;
  // The peer's whole flight. kDone at the initiator after flight 2, at the responder after flight
  // 3: only then has the peer proved who it is.
  virtual Step on_flight(ByteView flight) = 0;
  // After kDone.
  virtual const PeerIdentity& peer() const = 0;
  // After kDone: `bytes` of key material bound to `context`; equal on both ends (RFC 5705, RFC
  // 8446 7.5).
  virtual Bytes export_keys(ByteView context, std::size_t bytes) const = 0;
};

}  // namespace wow
