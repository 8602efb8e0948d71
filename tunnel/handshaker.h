// Key exchanges under way, of both roles: flights, duplicates, retry tokens, bounds. Sessions owns
// one and is told of results; nothing here ends a session. Control thread only.
#pragma once

#include <array>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tunnel/agreement.h"
#include "tunnel/retry_token.h"

namespace wow {

class Handshaker {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // Asked before the exchange is completed with our last flight, or with the peer's: whether its
    // outcome is wanted.
    virtual bool admits(const Agreement& agreement) = 0;
    virtual void on_agreed(Agreement agreement) = 0;
    // A dial came to nothing. `peer` is zero where it was dialled so.
    virtual void on_given_up(const Address& peer, const Path& path, CloseReason reason) = 0;
    // Whether an open session receives under this index.
    virtual bool holds(std::uint32_t receive_index) const = 0;
    // Whether one more session may be opened, were its peer to prove itself.
    virtual bool may_have_room() const = 0;
    // A last flight for a handshake that is not, or no more, under way.
    virtual void on_late_flight(std::uint32_t receive_index, const Path& path) = 0;
  };

  // Of a packet on a routed path: who says to have sent it, and the neighbour that handed it to us.
  struct Sender {
    Address source, ingress;
  };

  Handshaker(SessionParts& parts, Events& events);
  ~Handshaker();

  // Sends the first flight on `path`: of the exchange under way with `peer`, else of a new one.
  // `replaced_index`: the peer's index of the session to be continued, 0 for none. False if there
  // are too many.
  bool dial(const Address& peer, const Path& path, std::uint32_t replaced_index = 0);
  bool is_dialling(const Address& peer) const;
  // Forgets our own attempt at `peer`, silently.
  void abandon(const Address& peer);
  // Forgets what exchanges under way are made of, for another machine may know it. Attempts of ours
  // are begun anew, but for those that were to continue a session.
  void begin_all_anew();

  // A handshake packet; `sender` is empty on a direct path.
  void on_packet(MutableBytes packet, const Path& path, const Sender& sender);
  // Keeps a data packet whose handshake is under way; false if there is none with this index.
  bool keep_early(std::uint32_t index, ByteView packet, const Path& path);

  std::size_t under_way() const { return outgoing_.size() + incoming_.size(); }

 private:
  static constexpr Duration kIncomingLife = 5s;
  static constexpr Duration kReplyGap = 50ms;  // a path's duplicates nearer than this: no reply
  static constexpr std::size_t kIncomingPathsMax = 4;
  static constexpr std::size_t kEarlyPacketsMax = 256;  // a handshake
  static constexpr std::size_t kEarlyPacketsInAllMax = 1024;
  static constexpr int kFailuresMax = 2;  // an exchange is begun anew once

  using Digest = std::array<std::uint8_t, 32>;
  struct Outgoing {
    Address peer;
    ExchangeTerms terms;
    std::uint64_t started = 0;
    int failures = 0;
    Path first_path;
    std::unique_ptr<KeyExchange> exchange;
    std::unique_ptr<RepeatedFlight> flight;
  };
  struct Arrival {
    Path path;
    Sender sender;
    std::size_t received = 0, sent = 0;  // bytes: RFC 9000, 8.1
    TimePoint replied_at{};
    int replies = 0;
    std::size_t next = 0;  // packet of the reply, where not all of them were paid for
  };
  struct Incoming {
    explicit Incoming(Clock& clock) : expiry(clock) {}
    ExchangeTerms terms;
    std::uint64_t started = 0;
    Digest first_flight{};
    bool routed = false;
    std::unique_ptr<KeyExchange> exchange;
    std::vector<HandshakeBody> reply;
    std::vector<Arrival> arrivals;
    std::vector<EarlyPacket> early;
    Timer expiry;
  };
  void drop_stranger(const Path& path);

  // As initiator.
  bool begin(Outgoing& attempt);
  void on_retry(const HandshakeBody& body, const Path& path);
  void on_refer(const HandshakeBody& body, std::size_t packet_bytes, const Path& path);
  void on_second(const HandshakeBody& body, const Path& path);
  void complete(Outgoing& attempt, const HandshakeBody& body, const Path& path, Bytes last_flight);
  void begin_again(Outgoing& attempt);
  void give_up(std::uint32_t index, CloseReason reason);
  Outgoing* attempt_at(const Address& peer, const Path& path);

  // As responder.
  void on_first(const HandshakeBody& body, std::size_t packet_bytes, const Path& path,
                const Sender& sender);
  std::size_t begun_from(const Path& path, const Sender& sender) const;
  bool may_begin(const Path& path, std::size_t before) const;
  void ask_for_token(const HandshakeBody& body, const Path& path);
  void refer(const HandshakeBody& body, std::size_t packet_bytes, const Path& path);
  void answer(const HandshakeBody& body, ByteView flight, const Digest& digest,
              const Arrival& arrival);
  void reply(Incoming& handshake, Arrival& arrival);
  void on_third(const HandshakeBody& body, const Path& path);
  void forget_incoming(std::uint32_t index);
  void remember_done(const Digest& first_flight);

  // The peer that a finished exchange proves, if it may be one.
  bool acceptable(const PeerIdentity& peer, CloseReason* why);

  SessionParts& parts_;
  Events& events_;
  RetryTokens tokens_;
  FlightAssembler assembler_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Outgoing>> outgoing_;  // by our index
  std::unordered_map<std::uint32_t, std::unique_ptr<Incoming>> incoming_;  // by our index
  // Our index by first flight; 0 for one that was completed a moment ago, of which a copy may still
  // be under way on a slower path.
  std::map<Digest, std::uint32_t> by_first_flight_;
  struct Done {
    TimePoint until;
    Digest first_flight;
  };
  std::list<Done> done_;
  std::optional<TimePoint> stranger_told_;
  std::size_t routed_incoming_ = 0;
  std::size_t early_packets_ = 0;
};

}  // namespace wow
