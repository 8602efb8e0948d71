// A 64 KiB buffer whose payload sits behind headroom, so that headers are put in front of it and an
// AEAD tag behind it without moving a byte; and a pool of them. One pool a thread: neither is
// shared between threads.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace wow {

class PacketBuffer {
 public:
  static constexpr std::size_t kCapacity = 64 * 1024 + 512;
  static constexpr std::size_t kHeadroom =
      256;  // data, relay, routed and stream headers, and some to spare
  static constexpr std::size_t kTailroom = 64;  // an AEAD tag

  PacketBuffer() : storage_(new std::uint8_t[kCapacity]) { clear(); }

  void clear() {
    begin_ = kHeadroom;
    size_ = 0;
  }
  std::uint8_t* data() { return storage_.get() + begin_; }
  const std::uint8_t* data() const { return storage_.get() + begin_; }
  std::size_t size() const { return size_; }
  ByteView view() const { return {data(), size_}; }
  MutableBytes bytes() { return {data(), size_}; }
  // What may be written from data() on.
  MutableBytes room() { return {data(), kCapacity - kTailroom - begin_}; }
  void resize(std::size_t size) {
    assert(begin_ + size <= kCapacity);
    size_ = size;
  }
  // Makes the payload longer at its front and returns the new front.
  std::uint8_t* prepend(std::size_t bytes) {
    assert(bytes <= begin_);
    begin_ -= bytes;
    size_ += bytes;
    return data();
  }
  std::uint8_t* append(std::size_t bytes) {
    assert(begin_ + size_ + bytes <= kCapacity);
    size_ += bytes;
    return data() + size_ - bytes;
  }
  void drop_front(std::size_t bytes) {
    assert(bytes <= size_);
    begin_ += bytes;
    size_ -= bytes;
  }

 private:
  std::unique_ptr<std::uint8_t[]> storage_;
  std::size_t begin_;
  std::size_t size_;
};

class PacketPool {
 public:
  // At most this many idle buffers are kept: 4 MiB a thread.
  static constexpr std::size_t kIdleBuffersMax = 64;

  PacketBuffer take() {
    if (idle_.empty()) return {};
    PacketBuffer out = std::move(idle_.back());
    idle_.pop_back();
    return out;
  }
  void give_back(PacketBuffer buffer) {
    if (idle_.size() >= kIdleBuffersMax) return;
    buffer.clear();
    idle_.push_back(std::move(buffer));
  }

 private:
  std::vector<PacketBuffer> idle_;
};

}  // namespace wow
