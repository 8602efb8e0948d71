// What fuzzers share: the entry point, and a reader that turns bytes into choices.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"

// libFuzzer's; replay.cc calls it as well. Must end, and must not remember earlier calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace wow {

// Choices from an input; zeros once it is used up.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool is_over() const { return rest_.empty(); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < bytes && !rest_.empty(); ++i) {
      out = out << 8 | rest_[0];
      rest_ = rest_.subspan(1);
    }
    return out;
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(number(2)) % bound; }
  // As long as the next two bytes say, or what is left.
  Bytes some() { return take(static_cast<std::size_t>(number(2))); }
  Bytes rest() { return take(rest_.size()); }

 private:
  Bytes take(std::size_t bytes) {
    bytes = std::min(bytes, rest_.size());
    const Bytes out = to_bytes(rest_.first(bytes));
    rest_ = rest_.subspan(bytes);
    return out;
  }
  ByteView rest_;
};

template <typename Message>
bool read_message(Message& message, const Bytes& bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// Address sanitizer's unpoisoned sink: the bytes of a view can all be read.
inline void touch(ByteView bytes) {
  volatile std::uint8_t sum = 0;
  for (const auto byte : bytes) sum = static_cast<std::uint8_t>(sum + byte);
}

}  // namespace wow
