// A flight of ours that is sent again, at growing intervals, until it is answered: the initiator's
// first and last. (Responders keep no such timers: they answer duplicates.)
#pragma once

#include <functional>
#include <vector>

#include "tunnel/flight.h"
#include "tunnel/session_parts.h"

namespace wow {

class RepeatedFlight {
 public:
  // `peer` may be zero (direct paths only). The first flight is padded on direct paths.
  RepeatedFlight(SessionParts& parts, const Address& peer, const HandshakeBody& head,
                 ByteView flight);

  // Sends on `path` now and with each repetition. Bounded: beyond SessionLimits::paths_max it is
  // sent once.
  void send_on(const Path& path);
  // Sends on `path` now, and not again.
  void send_once(const Path& path);
  // Sends again on `path` with a token, now and from now on; false if it had one before.
  bool send_with_token(const Path& path, Bytes token);
  // Begins to repeat; `give_up` is called once, after the last try went unanswered, and may destroy
  // this object.
  void repeat(std::function<void()> give_up);

  std::vector<Path> paths() const;
  // Since it was sent, if it was sent once (Karn and Partridge, 1987: else nobody knows which copy
  // was answered).
  Duration round_trip() const;

 private:
  struct Way {
    Path path;
    Bytes token;
  };
  void send(const Way& way);
  void on_timer();

  SessionParts& parts_;
  const Address peer_;
  std::vector<HandshakeBody> bodies_;
  std::vector<Way> ways_;
  std::function<void()> give_up_;
  int tries_ = 0;
  Duration interval_;
  TimePoint sent_at_{};
  Timer timer_;
};

}  // namespace wow
