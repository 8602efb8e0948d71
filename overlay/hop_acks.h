// Acknowledged hops: what we pass on is kept until the next hop has said that it came, and sent
// another way if it does not. Under churn one route in a hundred meets a node that died a moment
// ago and whom nobody misses yet. Bounded: beyond kUnackedMax packets go unacknowledged. And what
// is sent again is at most a part of what was acknowledged in time, for where machines or lines are
// full all acknowledgements are late, and packets that each hop sends again keep them full (a retry
// budget: "Addressing Cascading Failures" in Beyer et al., "Site Reliability Engineering", 2016).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "overlay/hub.h"
#include "overlay/limits.h"

namespace wow {

class HopAcks {
 public:
  struct Packet {
    RoutedHeader header;  // as it came to us
    Bytes payload;
    Address came_from;           // zero: our own
    std::vector<Address> tried;  // next hops that did not answer
  };
  // `resend` is called with a packet that was not acknowledged, for another way.
  HopAcks(Hub& hub, std::function<void(Packet)> resend)
      : hub_(hub), resend_(std::move(resend)), wait_(hub.clock), tell_(hub.clock) {}
  void stop();

  // The number that a packet shall carry to `next`; none if too many wait, and then nothing is
  // copied.
  std::optional<std::uint16_t> expect(const Address& next, const RoutedHeader& header,
                                      ByteView payload, const Address& came_from,
                                      const std::vector<Address>& tried);
  void on_acks(const Address& from, ByteView numbers);
  // Its session ended, or its path: what waits for it goes another way at once.
  void lost(const Address& peer);
  // It fell silent on its path. Whoever else may lead on is asked first for a moment, and for
  // longer it is doubted: what must pass it would be lost. Until it is heard of again.
  void doubt(const Address& peer);
  void trust(const Address& peer) { doubted_.erase(peer); }
  bool is_doubted(const Address& peer) const;
  // A packet with this number came from `peer`: it will be told.
  void acknowledge(const Address& peer, std::uint16_t number);
  // Peers that owed us an acknowledgement a moment ago: not the first choice for what comes now.
  std::vector<Address> silent() const;
  std::size_t size() const { return waiting_.size(); }

 private:
  struct Waiting {
    Address next;
    TimePoint due{};
    Packet packet;
  };

  Duration round_trip_to(const Address& next) const;
  void arm();
  void check();
  void send_acks();

  Hub& hub_;
  std::function<void(Packet)> resend_;
  std::map<std::uint16_t, Waiting> waiting_;
  std::map<Address, TimePoint> silent_, doubted_;  // until
  std::map<Address, std::vector<std::uint16_t>> owed_;
  double again_ = ring::kAgainMax;  // packets that may be
  std::uint16_t last_ = 0;
  Timer wait_, tell_;
};

}  // namespace wow
