// Members of the pool on one LAN find each other by multicast, without a bootstrap and without the
// Internet. Who seeks the ring announces itself at once and then ever more rarely; who is on the
// ring answers a seeker unless three others did, and else announces itself about once a minute
// unless somebody else has (the suppression of SRM, Floyd et al., 1997). A beacon names its
// sender's own addresses, and is believed only from one of them: one that is recorded and sent
// again from elsewhere points at nobody new. Synchronous; control thread only.
#pragma once

#include <functional>

#include "base/metrics.h"
#include "base/transport.h"
#include "overlay/lan_beacon.h"
#include "overlay/rate_table.h"
#include "tunnel/credentials.h"
#include "tunnel/pool_seal.h"

namespace wow {

class LanDiscovery {
 public:
  static constexpr Duration kFirstGap = 250ms;  // between announcements while seeking; doubles
  static constexpr Duration kGapMax = 15s;
  static constexpr Duration kAnnounceEvery = 60s;  // on the ring; a fifth more or less
  static constexpr Duration kAnswerWithin = 100ms;
  static constexpr Duration kAnswerPause = 500ms;  // between two answers of ours
  static constexpr int kAnswersEnough = 3;
  static constexpr double kHeardPerSecond = 50;  // beacons looked at, of all senders
  static constexpr double kHeardBurst = 200;
  static constexpr double kFoundPerSecond = 0.5;  // of one member, handed on
  static constexpr double kFoundBurst = 4;

  struct Handlers {
    std::function<void(ByteView packet)> send;  // to everybody on every LAN that we are on
    std::function<bool()> seeks;                // whether we are not on the ring
    std::function<void(const Member&)> found;
  };
  LanDiscovery(Credentials& credentials, Clock& clock, Random& random, const Transport& transport,
               MetricSlot& metrics, Handlers handlers);

  // Announces us, at once and again; also when our network has changed.
  void start();
  void stop();
  // A datagram that came by multicast.
  void on_packet(MutableBytes packet, const IpAddress& from);

 private:
  void tick();
  void announce();
  void answer_soon();
  bool is_here(const IpAddress& ip) const;

  Credentials& credentials_;
  Clock& clock_;
  Random& random_;
  const Transport& transport_;
  MetricSlot& metrics_;
  Handlers handlers_;
  PoolSeal seal_;
  RateTable heard_{kHeardPerSecond, kHeardBurst}, found_{kFoundPerSecond, kFoundBurst};
  Timer tick_, answer_;
  Duration gap_{};
  TimePoint answered_at_ = TimePoint::min();
  int answers_heard_ = 0;      // since a seeker was heard
  bool others_spoke_ = false;  // since the last tick, from the ring
};

}  // namespace wow
