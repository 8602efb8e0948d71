#include "overlay/lan_discovery.h"

#include <algorithm>

#include "nat/check_list.h"

namespace wow {
namespace {

constexpr std::size_t kPrefixBytes = 8;  // of an IPv6 network (RFC 4291, 2.5.4)

}  // namespace

LanDiscovery::LanDiscovery(Credentials& credentials, Clock& clock, Random& random,
                           const Transport& transport, MetricSlot& metrics, Handlers handlers)
    : credentials_(credentials),
      clock_(clock),
      random_(random),
      transport_(transport),
      metrics_(metrics),
      handlers_(std::move(handlers)),
      seal_(credentials.pool_key(), random),
      tick_(clock),
      answer_(clock) {}

void LanDiscovery::start() {
  gap_ = kFirstGap;
  announce();
  tick_.after(random_.jittered(gap_), [this] { tick(); });
}

void LanDiscovery::stop() {
  tick_.cancel();
  answer_.cancel();
}

void LanDiscovery::tick() {
  heard_.sweep(clock_.now());
  found_.sweep(clock_.now());
  const bool seeks = handlers_.seeks();
  // The first few go out in any case: whoever is here may have been on another ring until now.
  const bool opening = gap_ < kFirstGap * 8;
  if (seeks || opening || !std::exchange(others_spoke_, false)) announce();
  gap_ = std::min<Duration>(gap_ * 2, kGapMax);
  const Duration wait = seeks || opening ? gap_ : kAnnounceEvery;
  tick_.after(random_.jittered(wait), [this] { tick(); });
}

void LanDiscovery::announce() {
  LanBeacon beacon{handlers_.seeks(), {credentials_.address(), {}}};
  auto own = transport_.local_endpoints();
  std::erase_if(own, [](const Endpoint& e) { return e.is_stream(); });
  beacon.member.endpoints = usable_candidates(own, {});
  if (!beacon.member.endpoints.empty())
    handlers_.send(seal_.seal(PacketType::kBeacon, beacon.write()));
}

void LanDiscovery::on_packet(MutableBytes packet, const IpAddress& from) {
  if (!heard_.take({}, clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  const auto text = seal_.open(PacketType::kBeacon, packet);
  if (!text) return metrics_.add(Metric::kDropStranger);
  auto beacon = LanBeacon::parse(*text);
  if (!beacon) return metrics_.add(Metric::kDropMalformed);
  Member& member = beacon->member;
  if (member.address == credentials_.address()) return;
  // What lies elsewhere may be a victim's: only the sender's own address and those of our networks.
  std::erase_if(member.endpoints,
                [&](const Endpoint& e) { return e.ip != from && !is_here(e.ip); });
  // The one that it came from first. Link-local ones come from no router, and need no such proof.
  const auto source = std::ranges::find(member.endpoints, from, &Endpoint::ip);
  if (source != member.endpoints.end()) {
    std::rotate(member.endpoints.begin(), source, source + 1);
  } else if (!from.is_link_local() || member.endpoints.empty()) {
    return metrics_.add(Metric::kDropMalformed);
  }
  if (beacon->seeks) {
    answer_soon();
  } else {
    others_spoke_ = true;
    ++answers_heard_;
  }
  if (!found_.take(member.address, clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  handlers_.found(member);
}

// Where whoever is on our link could send without us: a private address, or one of our own /64.
bool LanDiscovery::is_here(const IpAddress& ip) const {
  if (ip.is_private()) return true;
  if (ip.is_v4()) return false;
  const auto own = transport_.local_endpoints();
  return std::ranges::any_of(own, [&](const Endpoint& e) {
    return !e.ip.is_v4() &&
           std::ranges::equal(e.ip.mapped().first(kPrefixBytes), ip.mapped().first(kPrefixBytes));
  });
}

void LanDiscovery::answer_soon() {
  if (handlers_.seeks() || answer_.is_set()) return;
  answers_heard_ = 0;
  const TimePoint now = clock_.now();
  Duration wait = kAnswerWithin / 1000 * random_.below(1000);
  if (answered_at_ != TimePoint::min() && now - answered_at_ < kAnswerPause) wait += kAnswerPause;
  answer_.after(wait, [this] {
    if (answers_heard_ >= kAnswersEnough) return;
    answered_at_ = clock_.now();
    announce();
  });
}

}  // namespace wow
