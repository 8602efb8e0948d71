#include "overlay/ctm_memory.h"

#include <algorithm>

#include "overlay/limits.h"

namespace wow {

bool CtmMemory::is_new(const Ctm& ctm, TimePoint now) {
  const auto quietest = [](const auto& a, const auto& b) {
    return a.second.heard < b.second.heard;
  };
  auto [it, is_unknown] = sources_.try_emplace(ctm.source.address);
  if (!is_unknown && now - it->second.heard > ring::kCtmMemory) it->second = {};
  Source& source = it->second;
  const auto mark = std::make_pair(ctm.sent_at, ctm.id);
  if (!source.seen.empty()) {
    // By subtraction from whichever is larger: a hostile time must not overflow.
    const bool old = ctm.sent_at<source.newest&& static_cast<std::uint64_t>(source.newest) -
                                 static_cast<std::uint64_t>(
                                     ctm.sent_at)> static_cast<std::uint64_t>(ring::kCtmReorderMs);
    if (old || std::find(source.seen.begin(), source.seen.end(), mark) != source.seen.end()) {
      return false;
    }
  }
  source.newest = source.seen.empty() ? ctm.sent_at : std::max(source.newest, ctm.sent_at);
  source.seen.push_back(mark);
  if (source.seen.size() > ring::kCtmIdsKept) source.seen.erase(source.seen.begin());
  source.heard = now;
  if (sources_.size() > ring::kRatesMax) {
    sources_.erase(std::min_element(sources_.begin(), sources_.end(), quietest));
  }
  return true;
}

void CtmMemory::sweep(TimePoint now) {
  std::erase_if(sources_, [&](const auto& s) { return now - s.second.heard > ring::kCtmMemory; });
}

}  // namespace wow
