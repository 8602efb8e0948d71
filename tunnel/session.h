// Keys shared by two nodes and the paths between them. Made and owned by Sessions; others borrow it
// during a call and may keep the peer's address, never a reference. Control thread only, but for
// the parts named in SessionKeys.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "tunnel/data_keys.h"
#include "tunnel/path.h"
#include "tunnel/peer_identity.h"

namespace wow {

// What workers touch of an open session, shared with them through forwarding tables. Each sealing
// lane belongs to one thread; `opener` to the thread that the receiver index is steered to. The
// counters may be read by any thread.
struct SessionKeys {
  SessionKeys(const KeyPhases::Secret& sending, const KeyPhases::Secret& receiving,
              std::uint64_t phase_packets = KeyPhases::kWantedAfter)
      : phases(sending, receiving, phase_packets) {}

  KeyPhases phases;
  Address peer;
  std::uint32_t receive_index = 0;  // ours: what the peer puts in its packets
  std::vector<Sealer> lanes;        // [0]: control thread, [1..]: workers
  std::optional<Opener> opener;
  // Written by whichever thread sends or receives, relaxed; the control thread reads them to judge
  // silence.
  std::atomic<std::int64_t> last_received_ns{0};   // TimePoint since epoch
  std::atomic<std::int64_t> last_sent_data_ns{0};  // frames and messages, not probes
  std::atomic<std::int64_t> last_sent_frame_ns{0};
  std::atomic<std::uint64_t> bytes_in{0}, bytes_out{0};
};

// One path of a session and what is known of it.
struct PathState {
  Path path;
  bool validated = false;  // the peer answered a challenge on it lately
  bool answered = false;   // a challenge was, ever: nobody does that from another's address
  float loss = 0;          // 0..1: of challenges and their answers, the last eight or so
  Duration round_trip{};   // smoothed; zero: not measured
  TimePoint since{};       // when it was validated
  TimePoint last_answer{};

  // A path that loses one in 100 seems so once in a day, one that loses one in three at once.
  bool is_lossy() const { return loss > 0.25F; }
};

enum class SessionState : std::uint8_t { kConnecting, kOpen, kClosed };

class Session {
 public:
  virtual ~Session() = default;
  virtual const Address& peer()
      const = 0;  // zero while dialling an endpoint whose owner is unknown
  virtual SessionState state() const = 0;
  virtual const PeerIdentity& identity() const = 0;  // once open
  // The best usable path now, kNone if there is none; a validated direct one before a
  // relayed one before a routed one.
  virtual const PathState& path() const = 0;
  virtual std::vector<PathState> paths() const = 0;
  virtual bool is_direct() const = 0;  // open, and path() is a validated direct one
  // Open, and path() is a validated one through a circuit.
  virtual bool is_relayed() const = 0;
  virtual TimePoint opened_at() const = 0;
  // When it last sent data, or heard anything.
  virtual TimePoint last_activity() const = 0;
  // The largest datagram that the path in use carries, as far as was found out; zero: not asked.
  virtual std::size_t datagram_max() const = 0;
  // The current keys for a worker's tables; null until open.
  virtual std::shared_ptr<SessionKeys> keys() const = 0;
};

}  // namespace wow
