// A session as Sessions keeps it: its generations of keys, its paths, what waits to be sent, and
// the clocks by which its peer's silence is judged. A record with little will of its own; Sessions
// acts. Control thread only.
#pragma once

#include <memory>
#include <vector>

#include "tunnel/agreement.h"
#include "tunnel/path_mtu.h"
#include "tunnel/path_set.h"

namespace wow {

// One generation of keys: what one key exchange yielded.
struct KeySet {
  std::shared_ptr<SessionKeys> keys;
  std::uint32_t send_index = 0;
  bool initiated = false;
  bool continues = false;
  // SessionParts::order of its beginning, and of the moment when we knew that both ends have it.
  std::uint64_t started = 0, agreed = 0;
  TimePoint made{};
  bool shared = false;                   // another machine may know them: others are wanted at once
  TimePoint retired{}, retired_until{};  // of retired keys: they open, but do not seal
  std::unique_ptr<RepeatedFlight> last_flight;

  // Of two generations one may have been begun before its end knew of the other. Then both ends
  // must keep the same: the one begun by the higher address. Else the later one is kept.
  bool concurrent_with(const KeySet& before) const {
    return before.agreed == 0 || started < before.agreed;
  }
  bool replaces(const KeySet& before, const Address& self, const Address& peer) const;
};

// The search for what the path in use carries: made with the first frame on a direct one.
struct MtuSearch {
  MtuSearch(const Path& path, std::size_t wanted, Clock& clock)
      : mtu(path, wanted), told(mtu.datagram_max()), timer(clock) {}
  PathMtu mtu;
  std::size_t told;  // to the listener
  Timer timer;       // set while there is traffic
};

class LiveSession final : public Session {
 public:
  struct Staged {
    std::uint8_t kind;
    Bytes payload;
  };
  static constexpr std::size_t kOldKeysMax = 4;

  LiveSession(const Address& peer, Clock& clock, std::size_t paths_max);

  const Address& peer() const override { return peer_; }
  SessionState state() const override { return state_; }
  const PeerIdentity& identity() const override { return identity_; }
  const PathState& path() const override;
  std::vector<PathState> paths() const override;
  bool is_direct() const override;
  bool is_relayed() const override;
  TimePoint opened_at() const override { return opened_at_; }
  std::size_t datagram_max() const override;
  std::shared_ptr<SessionKeys> keys() const override { return current ? current->keys : nullptr; }

  bool is_open() const { return state_ == SessionState::kOpen; }
  bool is_linked() const { return is_direct() || is_relayed(); }
  bool is_closed() const { return state_ == SessionState::kClosed; }
  void open(TimePoint now);
  void set_closed() { state_ = SessionState::kClosed; }
  void set_identity(const PeerIdentity& identity) { identity_ = identity; }

  // When the peer was last heard on this path, by workers or the control thread.
  TimePoint heard_on(const PathRecord& record) const;
  TimePoint last_sent_data() const;
  TimePoint last_sent_frame() const;
  TimePoint last_activity() const override;
  // Calls `visit` with every generation of keys.
  template <typename Visit>
  void each_key_set(Visit&& visit) const {
    if (current) visit(*current);
    if (next) visit(*next);
    for (const auto& set : old) visit(*set);
  }

  PathSet path_set;
  std::unique_ptr<KeySet> current;
  std::unique_ptr<KeySet> next;  // ours, until the peer has shown that it has them too
  std::vector<std::unique_ptr<KeySet>> old;
  std::vector<Staged> staged;  // oldest first

  bool talks = false;  // has sent data that may wait for an answer
  Duration keepalive{};
  TimePoint rekey_not_before{};
  TimePoint unanswered_since{};  // of data; zero: none waits for an answer
  int unknown_index_hints = 0;   // since the peer was last heard
  // While the peer may be silent: by which index frames to it are kept, since when, and whether
  // more than chance says so.
  std::optional<std::uint32_t> kept_index;
  TimePoint kept_since{};
  bool is_silent = false;
  // What the listener was last told of path(): PathSet::changes() of then.
  std::uint32_t told_path = 0;
  bool told_linked = false;  // whether that was a validated direct or relayed one
  Timer alarm;               // keepalive, rekey, idle close, retired keys
  Timer prober;              // repeated challenges
  std::unique_ptr<MtuSearch> mtu_search;

 private:
  const Address peer_;
  SessionState state_ = SessionState::kConnecting;
  PeerIdentity identity_;
  TimePoint opened_at_{};
};

}  // namespace wow
