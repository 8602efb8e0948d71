// What a completed key exchange yields.
#pragma once

#include <memory>
#include <vector>

#include "tunnel/key_exchange.h"
#include "tunnel/repeated_flight.h"
#include "tunnel/session.h"

namespace wow {

// A data packet that overtook the initiator's last flight; opened after it.
struct EarlyPacket {
  Bytes bytes;
  Path path;
};

struct Agreement {
  PeerIdentity peer;
  bool initiated = false;        // by us
  bool dialled_anybody = false;  // initiated without knowing whom
  // New keys for a session that both ends still hold; else a new session, even if one end holds an
  // old one.
  bool continues = false;
  std::uint32_t replaced_index = 0;  // the responder's index of the session continued
  std::uint64_t started = 0;         // SessionParts::order when it began here
  Path path;                         // on which it was completed, and so proven
  std::vector<Path> other_paths;     // that the peer may be reached on as well
  Duration round_trip{};             // of `path`; zero: not measured
  std::uint32_t send_index = 0;      // the peer's
  std::shared_ptr<SessionKeys> keys;
  // Initiator: sent once, to be repeated until the peer is heard.
  std::unique_ptr<RepeatedFlight> last_flight;
  std::vector<EarlyPacket> early;  // responder
};

// What both ends say about an exchange, bound into its keys: whoever changes a word of it on the
// way makes two ends with different keys.
struct ExchangeTerms {
  // Flags of flights 1 and 2.
  static constexpr std::uint8_t kPrefersAes = 0x01;
  static constexpr std::uint8_t kContinues = 0x02;  // flight 2: "I hold the session you replace"

  Address initiator, responder;
  std::uint32_t initiator_index = 0, responder_index = 0;
  std::uint32_t replaced_index = 0;
  std::uint8_t initiator_flags = 0, responder_flags = 0;

  static std::uint8_t flags_of(CipherSuite suite) {
    return suite == CipherSuite::kAes256Gcm ? kPrefersAes : 0;
  }
  CipherSuite suite() const {
    return (initiator_flags & responder_flags & kPrefersAes) != 0 ? CipherSuite::kAes256Gcm
                                                                  : CipherSuite::kChaCha20Poly1305;
  }
  bool continues() const { return replaced_index != 0 && (responder_flags & kContinues) != 0; }
  Bytes exporter_context() const;
};

// The keys of a completed exchange, with one lane for the control thread and one for each worker.
// `phase_packets`: KeyPhases' wanted_after.
std::shared_ptr<SessionKeys> make_session_keys(const KeyExchange& exchange,
                                               const ExchangeTerms& terms, bool initiated,
                                               int workers, std::uint64_t phase_packets);

}  // namespace wow
