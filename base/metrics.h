// Counters: one table of names with help texts, read by status, JSON and Prometheus alike. Each
// thread that counts owns a slot, so that counting is one plain store; a reader adds the slots up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace wow {

// X(constant, name, help)
#define WOW_METRICS(X)                                                                             \
  X(kDatagramsIn, "datagrams_in", "datagrams received from the underlay")                          \
  X(kDatagramsOut, "datagrams_out", "datagrams sent to the underlay")                              \
  X(kBytesIn, "bytes_in", "UDP payload bytes received")                                            \
  X(kBytesOut, "bytes_out", "UDP payload bytes sent")                                              \
  X(kBytesOfPaths, "bytes_of_paths", "sent directly to find, check and keep paths")                \
  X(kPathChecks, "path_checks", "checks sent directly: to find a path, prove it, keep it")         \
  X(kPunchProbes, "punch_probes", "checks among them of ports that were guessed")                  \
  X(kBytesOfRouting, "bytes_of_routing", "sent directly along the ring, own and for others")       \
  X(kBytesOfServices, "bytes_of_services", "sent directly between services of two nodes")          \
  X(kFramesIn, "frames_in", "Ethernet frames delivered to the virtual interface")                  \
  X(kFramesOut, "frames_out", "Ethernet frames read from the virtual interface")                   \
  X(kRoutedForwarded, "routed_forwarded", "routed packets passed on for others")                   \
  X(kSentAgain, "sent_again", "packets sent once more: their relay died, their peer was silent")   \
  X(kCircuitForwarded, "circuit_forwarded", "packets passed on by circuit for others")             \
  X(kCircuitRefused, "circuit_refused", "circuits asked for and not agreed to here")               \
  X(kRoutedAgain, "routed_again", "routed packets that a hop did not acknowledge")                 \
  X(kHandshakesStarted, "handshakes_started", "key exchanges begun as initiator")                  \
  X(kHandshakesAnswered, "handshakes_answered", "key exchanges begun as responder")                \
  X(kHandshakesDone, "handshakes_done", "key exchanges completed")                                 \
  X(kHandshakesFailed, "handshakes_failed", "key exchanges given up or refused")                   \
  X(kDropGarbage, "drop_garbage", "datagrams of no known type or shape")                           \
  X(kDropStranger, "drop_stranger", "handshakes not sealed under this pool's key")                 \
  X(kDropUnknownIndex, "drop_unknown_index", "data packets for a session not held")                \
  X(kDropForged, "drop_forged", "data packets that did not open")                                  \
  X(kDropReplayed, "drop_replayed", "data packets seen before or too old")                         \
  X(kDropMalformed, "drop_malformed", "opened packets whose inside could not be parsed")           \
  X(kDropCircuit, "drop_circuit", "relay packets of no circuit agreed to, or astray")              \
  X(kDropNoRoute, "drop_no_route", "routed packets with nowhere to go")                            \
  X(kDropHopLimit, "drop_hop_limit", "routed packets that used up their hops")                     \
  X(kDropBadSignature, "drop_bad_signature", "signed messages whose signature did not hold")       \
  X(kDropRateLimited, "drop_rate_limited", "packets beyond a rate limit")                          \
  X(kDropQueueFull, "drop_queue_full", "packets dropped because a bounded queue was full")         \
  X(kDropAmplification, "drop_amplification", "replies withheld from an unproven endpoint")        \
  X(kDropSourceCheck, "drop_source_check", "frames whose inner source is not the sender's")        \
  X(kDropFrameKind, "drop_frame_kind", "frames of a kind never taken from the overlay")            \
  X(kDropNotMine, "drop_not_mine", "frames for an address not held here")                          \
  X(kDropTooBig, "drop_too_big", "frames that the path does not carry; their sender was told")     \
  X(kDropNoDestination, "drop_no_destination", "frames for an address nobody holds")               \
  X(kDropCongestion, "drop_congestion", "marked on the way as congested, and not ECN-capable")     \
  X(kStreamsDialled, "streams_dialled", "streams begun towards others")                            \
  X(kStreamsAccepted, "streams_accepted", "streams that others began")                             \
  X(kStreamsRefused, "streams_refused", "streams of others refused or ended to make room")         \
  X(kProxyFailed, "proxy_failed",                                                                  \
    "streams that the proxy did not let through, or answered nonsense")                            \
  X(kNamesFailed, "names_failed", "look-ups of bootstrap names without an address")                \
  X(kPortMapFailed, "port_map_failed", "asked the router for a port, and got none that is of use") \
  X(kStreamBytesIn, "stream_bytes_in", "bytes received in streams")                                \
  X(kStreamBytesOut, "stream_bytes_out", "bytes sent in streams")                                  \
  X(kDropStream, "drop_stream", "packets whose stream was full, or could not be opened")           \
  X(kDropSendFailed, "drop_send_failed", "datagrams that the kernel refused to send")              \
  X(kRetryTokensSent, "retry_tokens_sent", "handshakes answered with a token under load")          \
  X(kReferred, "referred", "newcomers referred to others while too many were shaking hands")       \
  X(kRevokedRefused, "revoked_refused", "handshakes with a revoked or closed-out member")

enum class Metric : std::uint16_t {
#define WOW_METRIC_CONSTANT(constant, name, help) constant,
  WOW_METRICS(WOW_METRIC_CONSTANT)
#undef WOW_METRIC_CONSTANT
      kCount
};

struct MetricInfo {
  std::string_view name;
  std::string_view help;
};
inline constexpr std::size_t kMetricCount = static_cast<std::size_t>(Metric::kCount);
extern const std::array<MetricInfo, kMetricCount> kMetricInfos;

// One thread's counters.
class MetricSlot {
 public:
  void add(Metric metric, std::uint64_t n = 1) {
    auto& value = values_[static_cast<std::size_t>(metric)];
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get(Metric metric) const {
    return values_[static_cast<std::size_t>(metric)].load(std::memory_order_relaxed);
  }

 private:
  alignas(64) std::array<std::atomic<std::uint64_t>, kMetricCount> values_{};
};

class Metrics {
 public:
  // A slot for the calling thread to own; it lives as long as this object. Any thread.
  MetricSlot& add_slot();
  std::uint64_t total(Metric metric) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<MetricSlot>> slots_;
};

}  // namespace wow
