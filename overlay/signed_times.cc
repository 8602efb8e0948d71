#include "overlay/signed_times.h"

#include <algorithm>
#include <limits>

namespace wow {

SignedTimes::Age SignedTimes::age(const Address& source, const Mark& mark, TimePoint now) const {
  const auto it = sources_.find(source);
  if (it == sources_.end() || now - it->second.heard > limits_.memory) return Age::kNew;
  const auto& seen = it->second.seen;
  if (std::find(seen.begin(), seen.end(), mark) != seen.end()) {
    return now - it->second.heard > limits_.reorder ? Age::kOld : Age::kRepeated;
  }
  return too_old(it->second, mark.sent_at) ? Age::kOld : Age::kNew;
}

bool SignedTimes::too_old(const Source& source, std::int64_t sent_at) const {
  if (sent_at <= source.floor) return true;
  // By subtraction from whichever is larger: a hostile time must not overflow.
  return sent_at<source.newest&& static_cast<std::uint64_t>(source.newest) -
                 static_cast<std::uint64_t>(sent_at)> static_cast<std::uint64_t>(limits_.reorder /
                                                                                 1ms);
}

void SignedTimes::remember(const Address& source, const Mark& mark, TimePoint now) {
  auto [it, is_unknown] = sources_.try_emplace(source);
  Source& known = it->second;
  if (is_unknown || now - known.heard > limits_.memory) {
    known = {mark.sent_at, std::numeric_limits<std::int64_t>::min(), {}, now};
  }
  known.newest = std::max(known.newest, mark.sent_at);
  known.seen.push_back(mark);
  if (known.seen.size() > limits_.ids) {
    known.floor = std::max(known.floor, known.seen.front().sent_at);
    known.seen.erase(known.seen.begin());
  }
  known.heard = now;
  if (sources_.size() > limits_.sources) {
    sources_.erase(std::min_element(sources_.begin(), sources_.end(), [](auto& a, auto& b) {
      return a.second.heard < b.second.heard;
    }));
  }
}

void SignedTimes::sweep(TimePoint now) {
  std::erase_if(sources_, [&](const auto& s) { return now - s.second.heard > limits_.memory; });
}

}  // namespace wow
