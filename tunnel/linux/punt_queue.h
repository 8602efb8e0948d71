// What packet workers cannot place, on its way to the control thread: bounded, many writers, one
// reader.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"

namespace wow {

struct Punt {
  enum class Kind : std::uint8_t {
    kDatagram,  // as it came from the underlay, from `from`
    kOpened,    // kind byte and payload of session `index`, from `from`
    kFrameOut,  // a frame from the TAP, with its `facts`
  };
  Kind kind = Kind::kDatagram;
  std::uint8_t facts = 0;
  std::uint32_t index = 0;
  Endpoint from;
  Bytes bytes;
  std::uint32_t circuit = 0;  // kOpened: that it came through, from a relay at `from`; 0: directly
};

class PuntQueue {
 public:
  static constexpr std::size_t kPuntsMax = 1024;
  // Frames that this host itself sends to whom no worker knows: they must leave room for handshakes
  // and probes.
  static constexpr std::size_t kFramesOutMax = kPuntsMax / 2;

  // `wake` is called from a worker when the queue was empty; it makes the control thread call
  // take_all().
  explicit PuntQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  // False if full: the caller counts the drop.
  bool push(Punt punt) {
    bool was_empty;
    {
      const std::lock_guard lock(mutex_);
      if (punts_.size() >= kPuntsMax) return false;
      if (punt.kind == Punt::Kind::kFrameOut && frames_out_++ >= kFramesOutMax) return false;
      was_empty = punts_.empty();
      punts_.push_back(std::move(punt));
    }
    if (was_empty) wake_();
    return true;
  }
  std::vector<Punt> take_all() {
    const std::lock_guard lock(mutex_);
    frames_out_ = 0;
    return std::exchange(punts_, {});
  }

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Punt> punts_;
  std::size_t frames_out_ = 0;  // offered since the last take_all()
};

}  // namespace wow
