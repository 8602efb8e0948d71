// The inside of Sessions. Its parts: what is asked from above and packets out (sessions.cc), key
// exchanges that come to an end (sessions_keys.cc), packets in (sessions_receive.cc),
// circuits (sessions_relay.cc), silence (sessions_liveness.cc), sizes (sessions_mtu.cc).
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/packet_buffer.h"
#include "tunnel/handshaker.h"
#include "tunnel/live_session.h"
#include "tunnel/rate_limit.h"
#include "tunnel/sent_lately.h"

namespace wow {

// How long a session counts as having traffic.
inline constexpr Duration kTrafficLasts = 3s;

class Sessions::Impl final : public Handshaker::Events {
 public:
  Impl(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
       MetricSlot& metrics, Listener& listener, const SessionLimits& limits);

  // Around every call from outside and every timer: sessions closed inside are destroyed at its
  // end, so that no caller's reference dies under it.
  class Entry {
   public:
    explicit Entry(Impl& impl) : impl_(impl) { ++impl_.depth_; }
    ~Entry() {
      if (--impl_.depth_ == 0) impl_.graveyard_.clear();
    }
    Entry(const Entry&) = delete;

   private:
    Impl& impl_;
  };

  // Asked from above.
  void dial(const Address& peer, const Path& path);
  void probe(LiveSession& s, const Endpoint& endpoint, bool moved);
  void add_path(LiveSession& s, const Path& path);
  void suspect_direct_paths(LiveSession& s, bool we_moved);
  void doubt_path(LiveSession& s, const Path& path);
  void drop_path(LiveSession& s, const Path& path);
  bool send(const Address& peer, DataKind kind, ByteView payload, std::uint8_t facts,
            Answer answer);
  void set_keepalive(LiveSession& s, Duration interval);
  // `tried`: what its listener hears of if no path ever was of use.
  void close(LiveSession& s, CloseReason reason, const Path& tried = {});
  void renew_all();
  LiveSession* find(const Address& peer);

  // Packets in.
  void on_packet(MutableBytes packet, const Path& path, const Handshaker::Sender& sender);
  void on_opened(std::uint32_t receive_index, ByteView plain, const Endpoint& from,
                 std::uint32_t circuit);
  void on_relayed(MutableBytes packet, const Endpoint& from);
  void on_stream_closed(LiveSession& s, const Path& path);

  // Handshaker::Events.
  bool admits(const Agreement& agreement) override;
  void on_agreed(Agreement agreement) override;
  void on_given_up(const Address& peer, const Path& path, CloseReason reason) override;
  bool holds(std::uint32_t receive_index) const override {
    return by_index_.contains(receive_index);
  }
  bool may_have_room() const override { return is_roomy() || longest_idle() != nullptr; }
  void on_late_flight(std::uint32_t receive_index, const Path& path) override;

  SessionParts parts;
  std::unordered_map<Address, std::unique_ptr<LiveSession>, AddressHash> sessions;
  Handshaker handshaker;
  CircuitTable circuits{parts.limits.circuit_packets_per_second};
  std::vector<SentLately*> sent_by_workers;

 private:
  struct Receiver {
    LiveSession* session;
    KeySet* keys;
  };
  // A routed packet may leave inside another session's; more than this is a loop.
  static constexpr int kSendDepthMax = 4;
  static constexpr std::size_t kSentLatelyMax = 128;
  // What was sent longer ago than this is of no use to anybody.
  static constexpr Duration kAgainWithin = 2s;

  // Packets out.
  void count_direct(std::uint8_t kind, std::size_t bytes);
  void transmit(LiveSession& s, KeySet& keys, const Path& path, std::uint8_t kind, ByteView payload,
                std::size_t padded_to = 0);
  void send_data(LiveSession& s, std::uint8_t kind, ByteView payload, Answer answer);
  void challenge(LiveSession& s, KeySet& keys, const Path& path, bool moved = false);
  void stage(LiveSession& s, std::uint8_t kind, ByteView payload);
  void flush_staged(LiveSession& s);
  static Path path_of(const CircuitLeg& leg, std::uint32_t id);
  void send_relayed(const Path& path, ByteView packet, bool dont_fragment);
  void pass_on(MutableBytes packet, RelayHeader header, CircuitLeg& leg);
  void send_again(LiveSession& s, SentLately::Key lost, TimePoint since);

  bool is_roomy() const { return sessions.size() < parts.limits.sessions_max; }
  LiveSession* longest_idle() const;
  bool make_room();

  // Keys.
  LiveSession& session_for(const Agreement& agreement);
  void learn_paths(LiveSession& s, const Agreement& agreement, bool fresh);
  void place(LiveSession& s, std::unique_ptr<KeySet> set);
  void promote(LiveSession& s, std::unique_ptr<KeySet> set);
  void retire(LiveSession& s, std::unique_ptr<KeySet> set);
  void forget_keys(const KeySet& set);
  void forget_shared(LiveSession& s);
  void renew(LiveSession& s);
  void on_heard_under(LiveSession& s, KeySet& set);
  void on_unanswered(std::uint32_t receive_index);
  void tell_keys(LiveSession& s, bool anew);

  // Packets in.
  void on_data(MutableBytes packet, const Path& path);
  void deliver(LiveSession& s, KeySet& keys, ByteView plain, const Path& path);
  void note_heard(LiveSession& s, KeySet& keys, const Path& path, bool is_data);
  void on_path_message(LiveSession& s, KeySet& keys, ByteView payload, const Path& path);
  void on_challenge(LiveSession& s, KeySet& keys, const PathMessage& message, const Path& path);
  void on_response(LiveSession& s, const PathMessage& message);
  void on_unknown_index(std::uint32_t index, const Endpoint& from);
  void reply_unknown_index(std::uint32_t index, const Path& path);

  // Sizes.
  void look_after_mtu(LiveSession& s);
  void search_mtu(LiveSession& s);
  void count_lost(LiveSession& s);
  void on_mtu_answer(LiveSession& s, Duration round_trip);
  void tell_mtu(LiveSession& s);

  // Silence.
  void start_probing(LiveSession& s, PathRecord& record);
  void run_probes(LiveSession& s);
  void excuse_what_came_late(LiveSession& s);
  void arm_prober(LiveSession& s);
  void doubt_best(LiveSession& s, PathRecord& best);
  void update_path(LiveSession& s);
  void keep_sent(LiveSession& s, bool silent);
  void end_keeping(LiveSession& s);
  template <typename Visit>
  void each_sent_lately(Visit&& visit) {
    for (SentLately* sent : sent_by_workers) visit(*sent);
    visit(sent_lately_);
  }
  void on_alarm(LiveSession& s);
  void arm_alarm(LiveSession& s);
  void note_talk(LiveSession& s);
  void wake_tick();
  void on_tick();
  bool waits_too_long(LiveSession& s, TimePoint heard, TimePoint now) const;
  TimePoint rekey_due(const LiveSession& s) const;

  std::unordered_map<std::uint32_t, Receiver> by_index_;
  SentLately sent_lately_{kSentLatelyMax};  // by this thread
  std::vector<std::unique_ptr<LiveSession>> graveyard_;
  std::vector<LiveSession*> talking_;  // those that `talk`, in the order in which they began
  RateLimit unknown_index_replies_;
  RateLimit unknown_index_hints_;
  Timer tick_;
  TimePoint ticked_at_{};
  int depth_ = 0;
  int send_depth_ = 0;
};

}  // namespace wow
