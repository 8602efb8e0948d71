#include "nat/check_list.h"

#include <algorithm>
#include <utility>

namespace wow {
namespace {

bool usable(const Endpoint& e, const CandidateRules& rules) {
  const IpAddress& ip = e.ip;
  return e.can_be_dialled() && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_link_local() &&
         (rules.allow_loopback || !ip.is_loopback()) &&
         !(rules.virtual_subnet && rules.virtual_subnet->contains(ip));
}

}  // namespace

std::vector<Endpoint> usable_candidates(const std::vector<Endpoint>& offered,
                                        const CandidateRules& rules) {
  std::vector<Endpoint> out;
  for (const Endpoint& e : offered) {
    if (out.size() == kCandidatesMax) break;
    // Whoever reached it from a socket of his own: we do from ours.
    const Endpoint plain{e.ip, e.port, e.carrier};
    if (usable(e, rules) && std::find(out.begin(), out.end(), plain) == out.end())
      out.push_back(plain);
  }
  return out;
}

Duration head_start(Carrier carrier) {
  if (carrier == Carrier::kUdp) return Duration::zero();
  return carrier == Carrier::kTls ? kTlsHeadStart : kTcpHeadStart;
}

std::vector<Endpoint> streams_to(const std::vector<Endpoint>& endpoints) {
  constexpr std::uint16_t kHttps = 443;
  std::vector<Endpoint> out;
  for (const Endpoint& e : endpoints) {
    if (e.is_stream() && e.can_be_dialled()) out.push_back(e);
  }
  if (out.empty()) {
    for (const Endpoint& e : endpoints) {
      if (!e.can_be_dialled() || out.size() >= kStreamsTried) continue;
      out.push_back({e.ip, e.port, Carrier::kTcp});
      out.push_back({e.ip, kHttps, Carrier::kTls});
    }
  }
  std::ranges::stable_sort(out, {}, &Endpoint::carrier);
  if (out.size() > kStreamsTried) out.resize(kStreamsTried);
  return out;
}

bool CheckList::Entry::is_done() const {
  return tries >= (endpoint.is_stream() ? kStreamCheckTries : kCheckTries);
}

std::optional<Endpoint> CheckList::next(TimePoint now) {
  const auto due = next_due();
  if (!due || *due > now) return std::nullopt;
  // First of equals, so that the best candidate leads.
  Entry* chosen = nullptr;
  for (Entry& e : entries_) {
    if (!e.is_done() && (!chosen || e.due < chosen->due)) chosen = &e;
  }
  if (chosen->tries == 0) chosen->begun = now;
  const Duration first = chosen->endpoint.is_stream() ? kStreamCheckRetransmit : kCheckRetransmit;
  chosen->due = now + first * (1 << chosen->tries++);
  last_sent_ = now;
  ++checks_sent_;
  return chosen->endpoint;
}

std::optional<TimePoint> CheckList::next_due() const {
  std::optional<TimePoint> earliest;
  for (const Entry& e : entries_) {
    if (!e.is_done()) earliest = std::min(e.due, earliest.value_or(e.due));
  }
  if (earliest) earliest = std::max(*earliest, last_sent_ + kCheckPace);
  return earliest;
}

bool CheckList::all_repeated() const {
  return !entries_.empty() && std::ranges::all_of(entries_, [](const Entry& e) {
    return e.tries > 1 || e.endpoint.is_stream();
  });
}

bool CheckList::same(const Entry& known, const Endpoint& candidate) const {
  if (!one_per_address_ || candidate.is_stream()) return known.endpoint == candidate;
  return known.endpoint.ip == candidate.ip && !known.endpoint.is_stream();
}

void CheckList::keep_one_per_address() {
  if (std::exchange(one_per_address_, true)) return;
  std::vector<Entry> kept;
  for (const Entry& e : entries_) {
    if (std::none_of(kept.begin(), kept.end(), [&](auto& k) { return same(k, e.endpoint); }))
      kept.push_back(e);
  }
  entries_ = std::move(kept);
}

void CheckList::add(const std::vector<Endpoint>& candidates, TimePoint now) {
  for (const Endpoint& candidate : candidates) {
    const auto lately = [&](const Entry& e) {
      if (!same(e, candidate)) return false;
      return e.tries > 0 ? now - e.begun < kCheckRestart : candidate.is_stream();
    };
    if (std::any_of(entries_.begin(), entries_.end(), lately)) continue;
    // Another port of an address of which one is enough: the known one, which our NAT has an entry
    // for.
    const auto known = std::ranges::find_if(entries_, [&](auto& e) { return same(e, candidate); });
    const Endpoint again = known == entries_.end() ? candidate : known->endpoint;
    std::erase_if(entries_, [&](const Entry& e) { return same(e, candidate); });
    if (entries_.size() >= kCheckListMax) {
      entries_.erase(std::max_element(entries_.begin(), entries_.end(),
                                      [](auto& a, auto& b) { return a.tries < b.tries; }));
    }
    entries_.push_back({again});
    if (candidate.is_stream() && !streams_at_once_)
      entries_.back().due = now + head_start(candidate.carrier);
  }
}

void CheckList::answered(const Endpoint& candidate) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& e) { return e.endpoint == candidate; });
  entries_.erase(entry, entries_.end());
}

}  // namespace wow
