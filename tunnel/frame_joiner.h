// Joins opened frames of one flow that follow each other into one large frame for the host, as its
// network card would (receive offload): each is opened straight behind the one before it, so that
// payloads meet without a copy. Only frames whose checksum their sender left to us are joined, for
// the host takes our word for those. Nothing that the host is told comes from the wire but the
// frame itself, parsed. Hostile bytes; bounded; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "tunnel/frame_headers.h"

namespace wow {

// What goes to the host: a frame and what it may be told of it.
struct JoinedFrame {
  MutableBytes frame;  // with FrameJoiner::kHeadroom bytes before it that may be overwritten
  std::optional<FrameHeaders> headers;  // set if the checksum is partial
  std::size_t segments = 1;
  std::size_t segment_bytes = 0;  // of payload in each but the last, if there are several
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void write(const JoinedFrame& frame) = 0;
};

class FrameJoiner {
 public:
  static constexpr std::size_t kHeadroom = 32;
  static constexpr std::size_t kSegmentsMax = 64;
  // TCP segments of less come singly: nobody gains by them, and small ones make long lists.
  static constexpr std::size_t kTcpSegmentBytesMin = 256;

  // Frames longer than these are not joined to others: the interface's MTU and the Ethernet header,
  // for the host may be told of no larger segments; 0: none are.
  struct Limits {
    std::size_t tcp_frame_bytes = 0;
    std::size_t udp_frame_bytes = 0;
  };
  FrameJoiner(const Limits& limits, FrameSink& sink);

  // Where the next packet's kind byte and frame are to be opened: `plain_bytes` of room. May write
  // what is held to the sink. One of the three below must follow.
  std::uint8_t* place(std::size_t plain_bytes);
  // It holds a frame for the host, ready to be joined or written; `partial`: its checksum was left
  // to us. False if it says so and cannot be: it is dropped then.
  bool take(bool partial);
  // It holds nothing for the host.
  void drop();
  // Writes what is held. To be called before anything else is read that must not overtake it.
  void flush();

 private:
  static constexpr std::size_t kFrameBytesMax = kEthernetHeaderBytes + 65535;
  static constexpr std::size_t kOpenedBytesMax = 65536;

  MutableBytes placed_frame();
  void restore();
  bool follows(ByteView frame, const FrameHeaders& headers) const;
  void append(ByteView frame);
  void hold(MutableBytes frame, const std::optional<FrameHeaders>& headers);

  const Limits limits_;
  FrameSink& sink_;
  std::vector<std::uint8_t> storage_;
  // The frame being joined: storage_[begin_, end_); none if empty.
  std::size_t begin_ = 0, end_ = 0;
  std::optional<FrameHeaders> headers_;  // unset: nothing may be joined to it
  std::size_t segments_ = 0, segment_bytes_ = 0;
  std::uint32_t next_sequence_ = 0;
  bool complete_ = false;  // the last segment was short or the sender pushed
  // The packet being opened, and what lay there before.
  std::size_t placed_ = 0, placed_bytes_ = 0, saved_bytes_ = 0;
  std::array<std::uint8_t, 1 + FrameHeaders::kBytesMax> saved_;
};

}  // namespace wow
