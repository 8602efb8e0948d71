// From the host to the underlay: frames read from one TAP queue, cut if the host left that to us,
// sealed into the send batch for whom their destination MAC names. One worker's.
#pragma once

#include <memory>
#include <optional>

#include "base/metrics.h"
#include "base/random.h"
#include "tunnel/forwarding.h"
#include "tunnel/linux/punt_queue.h"
#include "tunnel/linux/send_batch.h"
#include "tunnel/linux/tap_queue.h"
#include "tunnel/linux/vnet_header.h"

namespace wow {

class FramesOut {
 public:
  FramesOut(const TapQueue& tap, std::size_t lane, SendBatch& batch, PuntQueue& punts,
            MetricSlot& metrics, Random& random);

  // Takes the frames that are there now, up to a turn's worth; false if there were none.
  bool turn(const ForwardingTables& tables, std::int64_t now_ns);

 private:
  static constexpr int kFramesPerTurn = 64;  // then the other side has its turn
  static constexpr std::size_t kFrameBytesMax = kEthernetHeaderBytes + 65535;
  static constexpr std::size_t kPadding = 64;
  // Behind the vnet header, whose last byte is overwritten by the kind.
  static constexpr std::size_t kFrameAt = kPadding + kVnetHeaderBytes;

  // The next frame, and what the host left to us of it.
  std::optional<MutableBytes> read(LeftToUs* left);
  void take(MutableBytes frame, const LeftToUs& left, const ForwardingTables& tables);
  // Sums where we must do it ourselves; false if the host asks for what it cannot.
  static bool complete(MutableBytes frame, const LeftToUs& left);
  void send(MutableBytes frame, std::uint8_t facts, const SendEntry& to);
  void account(const SendEntry& to, std::size_t bytes);
  void punt(MutableBytes frame, bool partial, const std::optional<FrameHeaders>& headers);

  const TapQueue tap_;
  const std::size_t lane_;
  SendBatch& batch_;
  PuntQueue& punts_;
  MetricSlot& metrics_;
  Random& random_;
  std::unique_ptr<std::uint8_t[]> storage_;
  std::uint32_t salt_ = 0;
  std::int64_t now_ns_ = 0;
};

}  // namespace wow
