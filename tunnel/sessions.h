// All sessions of a node: key exchanges and their retransmission, index tables, paths and their
// validation, probing of silent peers, roaming, rekeying. Knows nothing of the ring: routed packets
// leave through Outlet and come back through on_packet. Synchronous; control thread only. Follows
// DESIGN notes in docs/sessions.md (RFC 9000 8, 9; RFC 8445).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/transport.h"
#include "proto/headers.h"
#include "tunnel/circuit_table.h"
#include "tunnel/credentials.h"
#include "tunnel/session.h"

namespace wow {

class SentLately;

// A first flight to where somebody is said to be: a third of the largest handshake packet, so that
// an answer of one packet comes at once (RFC 9000, 8.1), and no more than that, for somebody pays.
inline constexpr std::size_t kNamedFlightBytes = 420;

// Every limit and interval of sessions, named once.
struct SessionLimits {
  Duration handshake_retransmit = 300ms;  // first; doubles, to 2 s
  int handshake_tries = 6;
  Duration rekey_after = 1h;
  std::uint64_t phase_packets =
      KeyPhases::kWantedAfter;   // on one lane: the next generation of keys
  Duration old_keys_kept = 10s;  // the losing or replaced keys still receive
  Duration old_keys_most = 20s;  // also if the peer goes on using them: two may have one key
  // Between unanswered probes; the first waits for its answer, a round trip, besides.
  Duration probe_interval = 170ms;
  Duration probe_interval_under_traffic = 50ms;  // the same while data waits for an answer
  // Unanswered: another path is taken, if there is one. At 5 % loss and 1,000 looks an hour, three
  // in a row would be lost once an hour.
  int probes_until_suspect = 7;
  int probes_unanswered_max = 8;
  Duration silence_under_traffic = 300ms;  // data sent, nothing heard: start probing
  Duration tick = 50ms;                    // how often sessions with traffic are looked at
  Duration worker_tick = 200ms;            // the same without traffic, if workers may begin some
  Duration idle_routed_close = 2min;  // a session with no traffic, no keepalive and no direct path
  std::size_t sessions_max = 8192;
  Duration idle_gives_way = 10s;  // at sessions_max, one without keepalive is closed for a newcomer
  std::size_t handshakes_max = 40;   // as responder, at once; half of it reached: retry tokens; all
                                     // of it: newcomers are referred to others
  std::size_t dials_max = 24;        // as initiator, at once
  std::size_t stream_dials_max = 8;  // beside those: what UDP does not reach must not wait for it
  std::size_t paths_max = 8;         // a session
  // The largest datagram that frames need; 0: none are sent, and no path is asked what it carries.
  std::size_t datagram_wanted = 0;
  int amplification = 3;  // RFC 9000, 8.1
  // A session being opened; full: the oldest is dropped and counted. Enough for a flow of 100
  // packets a second whose first flight was lost twice; bounded in all by dials_max.
  std::size_t staged_packets_max = 256;
  std::size_t staged_bytes_max = 256 * 1024;
  int unknown_index_replies_per_second = 20;
  // Passed on for others, from each end of a circuit.
  int circuit_packets_per_second = CircuitLeg::kPacketsPerSecond;
  int workers = 0;                      // sealing lanes beside lane 0
  CipherSuite suite = fastest_suite();  // used if the peer prefers it too; else ChaCha20-Poly1305
};

enum class CloseReason : std::uint8_t {
  kTimeout,
  kDead,
  kPeerClosed,
  kReplaced,
  kRefused,
  kRevoked,
  kLocal,
  kIdle
};

// Whether silence after a packet makes us ask the peer if it is there. Not after acknowledgements
// and the like: they are answers themselves, or sent again anyway.
enum class Answer : std::uint8_t { kExpected, kNone };

class Sessions {
 public:
  static constexpr std::size_t kReferralsMax = 4;
  // Whom Sessions tells; overlay::Node.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_open(
        Session& session) = 0;  // also after a replacement by simultaneous open; not after a rekey
    // find() no longer knows the session; it is gone when this returns. `peer` may be zero (a
    // dialled endpoint that never answered: see `path`).
    virtual void on_closed(const Address& peer, const Path& path, CloseReason reason) = 0;
    virtual void on_path_changed(
        Session& session) = 0;  // path() became another, better or worse; or its keys did
    virtual void on_routed(Session& session, ByteView packet) = 0;  // DataKind::kRouted payload
    virtual void on_control(Session& session, ByteView piece) = 0;  // DataKind::kControl payload
    virtual void on_frame(Session& session, ByteView frame, std::uint8_t facts) = 0;
    // The peer says from where it sees us.
    virtual void on_reflexive(Session& session, const Endpoint& observed) = 0;
    // The path was silent for long, the peer has taken to another one by itself, and yet it answers
    // on this one when we ask.
    virtual void on_silence_ended(const Path& path, Duration silence) { (void)path, (void)silence; }
    // Somebody is no longer reached through it: it may be dead, or the other end.
    virtual void on_relay_doubted(const Address& relay) { (void)relay; }
    // Busy: members that a newcomer may ask instead, at most kReferralsMax.
    virtual std::vector<Endpoint> referrals() { return {}; }
    // Whom we dialled at `path`, whoever it is, is busy and names these, in so many bytes.
    virtual void on_referred(const Path& path, const std::vector<Endpoint>& endpoints,
                             std::size_t bytes) {
      (void)path, (void)endpoints, (void)bytes;
    }
    // Asked before each first flight for `peer` (zero: whoever is there) leaves on a direct path
    // that has not answered: whether so many bytes may go to an endpoint that may be a victim's.
    virtual bool may_dial(const Address& peer, const Path& path, std::size_t bytes) {
      (void)peer, (void)path, (void)bytes;
      return true;
    }
    // A packet of ours for `peer`, to be routed on the ring (nested through `via` unless that is
    // zero).
    virtual void send_routed(const Address& peer, const Address& via, ByteView packet) = 0;
  };

  Sessions(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
           MetricSlot& metrics, Listener& listener, SessionLimits limits = {});
  ~Sessions();

  // Begins a session to `peer` (zero: whoever answers at a direct path) with its first flight on
  // `path`. With a session to this peer already there it only adds a routed path, and challenges
  // any other. An endpoint that turns out to be an open session's becomes a path of that one:
  // on_closed(zero, path, kReplaced). Ourselves: kRefused. At sessions_max the longest idle session
  // without a keepalive gives way; if all are busy this does nothing, and find() stays null.
  void dial(const Address& peer, const Path& path);
  // Challenges an endpoint: a sealed check (RFC 8445, 2.2). The answer makes it a validated direct
  // path. `moved` says that our own address changed. Sent once; pacing and repetition are the
  // caller's (nat/check_list.h).
  void probe(Session& session, const Endpoint& endpoint, bool moved = false);
  // Adds a path that needs no probe to be tried (a routed one).
  void add_path(Session& session, const Path& path);
  // Our network changed: direct paths are suspect until they answer again; each gets a challenge
  // with the moved flag, and traffic takes a routed path meanwhile if there is one.
  void suspect_direct_paths();
  // The peer's addresses changed, as it told us sealed: the same, for one session.
  void suspect_direct_paths(Session& session);
  // The way to its relay is in doubt: not used until it answers.
  void doubt_relayed_path(Session& session, const Path& path);
  // Its circuit is gone.
  void drop_path(Session& session, const Path& path);
  // What workers sent by circuits, to be sent again when a relay dies. They outlive this, or are
  // taken back by an empty list.
  void set_sent_lately(std::vector<SentLately*> workers);
  // The circuits that end or are passed on here: filled above, looked up for each relay packet.
  CircuitTable& circuits();

  // Sends kind and payload (64 KiB less headers at most) on the best path. While connecting it is
  // staged (bounded, oldest dropped). False: no session.
  bool send(const Address& peer, DataKind kind, ByteView payload, std::uint8_t facts = 0,
            Answer answer = Answer::kExpected);
  // How often to challenge the best path when idle; zero: not at all. A session with an interval is
  // never closed as idle.
  void set_keepalive(Session& session, Duration interval);
  // Tells the peer, sealed, unless it is thought dead.
  void close(const Address& peer, CloseReason reason);
  // Another machine may know all our keys: this one was cloned as it ran. Each session gets new
  // ones at once, by an exchange that owes the old nothing; these serve until then, and are
  // forgotten when the peer was heard under the new. What is under way is begun anew.
  void renew_all();
  // Drops every session whose peer the settings no longer welcome.
  void drop_unwelcome();

  // A packet from the underlay: a datagram, or one of a stream.
  void on_datagram(MutableBytes packet, const Endpoint& from);
  // A handshake or data packet that came along the ring from `source`; `via` is the way back, zero
  // for plain routing, and `ingress` the neighbour that handed it to us: a source can be invented.
  void on_routed_packet(const Address& source, const Address& via, MutableBytes packet,
                        const Address& ingress = {});
  // A stream has ended. Where it is in use and can be dialled the peer is asked over it, which
  // dials it anew; else it is no path any more.
  void on_stream_closed(const Endpoint& far);
  // Whether there is reason to think that UDP gets nowhere at all: some path has stopped answering,
  // or all peers are reached over streams, and nobody was heard by UDP for half a second.
  bool udp_is_silent() const;
  // Peers are reached by streams, and none directly by UDP, now or lately.
  bool has_only_streams() const;
  // The streams that lead to a peer that has proven itself: others are a stranger's.
  std::unordered_set<Endpoint, EndpointHash> streams() const;
  // A data packet that a worker has opened (not a frame): kind byte and payload.
  // `circuit`: that it came through, from a relay at `from`; 0: directly.
  void on_opened(std::uint32_t receive_index, ByteView plain, const Endpoint& from,
                 std::uint32_t circuit = 0);

  Session* find(const Address& peer);
  std::size_t size() const;
  void for_each(const std::function<void(Session&)>& visit);
  std::size_t handshakes_under_way() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wow
