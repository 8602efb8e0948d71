#include "tunnel/path_mtu.h"

#include <algorithm>
#include <array>

#include "proto/headers.h"

namespace wow {
namespace {

// UDP payloads that common links leave: 1,280 (IPv6's least), 1,400 (mobile, clouds), 1,420 and
// 1,440 (tunnels), 1,480, 1,492 (PPPoE), 1,500 and 9,000, each over IPv6 and IPv4.
constexpr std::array<std::size_t, 14> kCommon = {1232, 1252, 1352, 1372, 1392, 1412, 1432,
                                                 1444, 1452, 1464, 1472, 4052, 8952, 8972};
// What is added on the way before a link sees the datagram.
std::size_t added_to(const Path& path) { return path.is_relayed() ? RelayHeader::kBytes : 0; }

constexpr std::size_t kSpread = 6;  // sizes in a round between two known ones

// An answer to the last try of a round may take so long.
Duration patience(Duration round_trip) { return round_trip * 3 / 2 + 100ms; }

}  // namespace

PathMtu::PathMtu(const Path& path, std::size_t wanted)
    : path_(path), wanted_(std::max(wanted, kBase)), max_(wanted_), high_(wanted_ + 1) {}

std::vector<PathMtu::Probe> PathMtu::due(TimePoint now, Duration round_trip, Random& random) {
  if (now < next_) return {};
  if (searching() && tries_ == kTries) end_round(now);
  if (!searching()) begin_round(now);
  std::vector<Probe> out;
  for (const std::size_t size : asked_now()) out.push_back({size, random.u64(), now});
  probes_.insert(probes_.end(), out.begin(), out.end());
  if (probes_.size() > kProbesMax) {
    probes_.erase(probes_.begin(), probes_.end() - static_cast<std::ptrdiff_t>(kProbesMax));
  }
  ++tries_;
  next_ = now + (!searching() ? kConfirm : tries_ == kTries ? patience(round_trip) : kTryPause);
  return out;
}

void PathMtu::begin_round(TimePoint now) {
  tries_ = 0;
  spare_ = kBase;
  if (raise_at_ != TimePoint() && now >= raise_at_) {
    high_ = wanted_ + 1;
    raise_at_ = {};
  }
  if (high_ == wanted_ + 1 && low_ < wanted_) {
    for (const std::size_t common : kCommon) {
      const std::size_t size = common - added_to(path_);
      if (size > low_ && size < wanted_) sizes_.push_back(size);
    }
    sizes_.push_back(wanted_);
  } else if (high_ - low_ > kGranule) {
    for (std::size_t i = 1; i <= kSpread; ++i) {
      sizes_.push_back(low_ + (high_ - low_) * i / (kSpread + 1));
    }
  } else if (low_ > kBase) {
    sizes_.push_back(low_);
  }
}

std::vector<std::size_t> PathMtu::asked_now() const {
  // The whole alone at first: on most paths that is all.
  if (first_look_ && tries_ == 0 && searching()) return {sizes_.back()};
  if (!confirming() || tries_ == 0) return sizes_;
  // Perhaps only a lost packet; perhaps the way has changed, and then it should be known at once
  // what to go back to.
  std::vector<std::size_t> out;
  for (const std::size_t common : kCommon) {
    const std::size_t size = common - added_to(path_);
    if (size > spare_ && size < low_) out.push_back(size);
  }
  out.push_back(low_);
  return out;
}

// What was not answered by now is too large.
void PathMtu::end_round(TimePoint now) {
  if (confirming()) low_ = spare_;
  high_ = sizes_.front();
  sizes_.clear();
  first_look_ = false;
  max_ = low_;
  if (raise_at_ == TimePoint()) raise_at_ = now + kRaise;
}

std::size_t PathMtu::take_lost(TimePoint now) {
  std::size_t lost = 0;
  std::erase_if(probes_, [&](const Probe& probe) {
    const bool late = now - probe.sent_at > kLostAfter;
    if (late && probe.size <= low_) ++lost;
    return late;
  });
  return lost;
}

std::optional<Duration> PathMtu::on_answer(std::uint64_t token, TimePoint now) {
  const auto found = std::ranges::find(probes_, token, &Probe::token);
  if (found == probes_.end()) return std::nullopt;
  const Probe probe = *found;
  probes_.erase(found);
  if (searching()) take_answer(probe.size, now);  // else it is late, or comes once more
  return std::max<Duration>(now - probe.sent_at, 1us);
}

void PathMtu::take_answer(std::size_t size, TimePoint now) {
  if (size < low_) {
    spare_ = std::max(spare_, size);
    return;
  }
  low_ = size;
  if (low_ >= high_) high_ = wanted_ + 1;  // that was a lost packet, then
  if (!first_look_) max_ = std::max(max_, low_);
  std::erase_if(sizes_, [&](std::size_t asked) { return asked <= size; });
  if (searching()) return;
  first_look_ = false;
  max_ = low_;
  const bool more = high_ - low_ > kGranule && low_ < wanted_;
  next_ = more ? now : now + kConfirm;
}

}  // namespace wow
