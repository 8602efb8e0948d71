// Sealed packets whose way is a stream, from the workers to the control thread, which has the
// streams. Messages (many packets, one behind the other) are copied into one of two buffers that
// are made once; bounded: what does not fit is the sender's to count.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/transport.h"

namespace wow {

class StreamOutlet {
 public:
  static constexpr std::size_t kBytesMax = 512 * 1024;
  static constexpr std::size_t kMessagesMax = 512;

  // `wake` is called from a worker when there was nothing before; it makes the control thread call
  // take_all().
  explicit StreamOutlet(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Any worker. False if there is no room.
  bool push(const Datagram& message) {
    bool was_empty;
    {
      const std::lock_guard lock(mutex_);
      Half& half = halves_[filled_];
      if (!half.bytes) half.make();
      if (half.used + message.body.size() > kBytesMax || half.messages.size() == kMessagesMax)
        return false;
      std::copy(message.body.begin(), message.body.end(), half.bytes.get() + half.used);
      was_empty = half.messages.empty();
      half.messages.push_back(message);
      half.messages.back().body = {half.bytes.get() + half.used, message.body.size()};
      half.used += message.body.size();
    }
    if (was_empty) wake_();
    return true;
  }

  // Control thread: hands all that is there, in its order, to `send`.
  template <typename Send>
  void take_all(Send&& send) {
    Half* taken;
    {
      const std::lock_guard lock(mutex_);
      taken = &halves_[filled_];
      filled_ = 1 - filled_;
    }
    for (const Datagram& message : taken->messages) send(message);
    taken->messages.clear();
    taken->used = 0;
  }

 private:
  struct Half {
    void make() {
      bytes.reset(new std::uint8_t[kBytesMax]);
      messages.reserve(kMessagesMax);
    }
    std::unique_ptr<std::uint8_t[]> bytes;  // made with the first message: most have no stream
    std::size_t used = 0;
    std::vector<Datagram> messages;
  };

  std::function<void()> wake_;
  std::mutex mutex_;
  Half halves_[2];
  std::size_t filled_ = 0;
};

}  // namespace wow
