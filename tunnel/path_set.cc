#include "tunnel/path_set.h"

#include <algorithm>
#include <tuple>

namespace wow {
namespace {

constexpr Duration kUnprovenLife = 10s;
constexpr float kLossGain = 0.125F;
// A rival must be this much quicker before traffic moves to it, so that noise moves nothing.
constexpr Duration kHysteresis = 2ms;
constexpr int kHysteresisDivisor = 5;
// A lossy path comes after those of its kind that are not.
constexpr Duration kPerLossy = 1s;
// A path without a measured round trip comes after those with one.
constexpr Duration kUnmeasured = 1s;

constexpr int kRanks = 4;  // of a kind, and again of those that are suspect

constexpr int kRankRelayed = 2;

int rank(const PathRecord& r) {
  if (!r.is_usable()) return 2 * kRanks;
  const Path& path = r.state.path;
  const int kind = path.is_stream()    ? 1
                   : path.is_direct()  ? 0
                   : path.is_relayed() ? kRankRelayed
                                       : 3;
  return r.suspect ? kRanks + kind : kind;
}

Duration measured(const PathRecord& r) {
  const Duration lossy = r.state.is_lossy() ? kPerLossy : Duration::zero();
  return lossy + (r.state.round_trip == Duration() ? kUnmeasured : r.state.round_trip);
}

bool better(const PathRecord& a, const PathRecord& b) {
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  // Of routed ways the one that the peer uses now.
  if (a.state.path.is_routed()) return a.last_heard > b.last_heard;
  return measured(a) < measured(b);
}

// Whether to leave `used` for `rival`.
bool worth_moving(const PathRecord& rival, const PathRecord& used) {
  if (rank(rival) != rank(used)) return rank(rival) < rank(used);
  if (rival.state.path.is_routed()) return rival.last_heard - used.last_heard > PathSet::kFresh;
  const Duration margin = kHysteresis + measured(used) / kHysteresisDivisor;
  return measured(rival) + margin < measured(used);
}

}  // namespace

PathRecord* PathSet::find(const Path& path) {
  const auto found =
      std::ranges::find_if(records_, [&](const PathRecord& r) { return r.state.path == path; });
  return found == records_.end() ? nullptr : &*found;
}

PathRecord& PathSet::add(const Path& path, TimePoint now) {
  if (PathRecord* known = find(path)) return *known;
  if (records_.size() >= paths_max_) {
    const PathRecord* worst = nullptr;
    for (const PathRecord& r : records_) {
      if (&r != best() && (worst == nullptr || better(*worst, r))) worst = &r;
    }
    erase([worst](const PathRecord& r) { return &r == worst; });
  }
  records_.reserve(records_.size() + 1);  // most sessions have one, and there are many sessions
  PathRecord& made = records_.emplace_back();
  made.state.path = path;
  made.state.since = now;
  return made;
}

void PathSet::forget(const Path& path) {
  std::erase_if(challenges_, [&](const Challenge& c) { return c.path == path; });
  remove(path);
}

void PathSet::remove(const Path& path) {
  erase([&](const PathRecord& r) { return r.state.path == path; });
}

void PathSet::use(std::size_t record) {
  if (record != best_) ++changes_;
  best_ = record;
}

template <typename IsOver>
void PathSet::erase(IsOver&& is_over) {
  std::size_t kept = 0, used = kNone;
  // Asked before anything moves: `is_over` may look at places.
  std::vector<bool> over(records_.size());
  for (std::size_t i = 0; i < records_.size(); ++i) over[i] = is_over(records_[i]);
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (over[i]) continue;
    if (i == best_) used = kept;
    if (i != kept) records_[kept] = records_[i];
    ++kept;
  }
  if (best_ != kNone && used == kNone) ++changes_;
  best_ = used;
  records_.resize(kept);
}

void PathSet::choose() {
  const PathRecord* used = best();
  if (used != nullptr && !used->is_usable()) used = nullptr;
  const PathRecord* first = nullptr;
  for (const PathRecord& r : records_) {
    if (r.is_usable() && (first == nullptr || better(r, *first))) first = &r;
  }
  if (first == nullptr) {
    use(kNone);
  } else if (used == nullptr || worth_moving(*first, *used)) {
    use(static_cast<std::size_t>(first - records_.data()));
  }
}

void PathSet::follow(const Path& path) {
  const PathRecord* theirs = find(path);
  const PathRecord* ours = best();
  if (theirs == nullptr || ours == nullptr || rank(*theirs) != rank(*ours) ||
      rank(*ours) > kRankRelayed) {
    return;
  }
  if (!worth_moving(*ours, *theirs)) use(static_cast<std::size_t>(theirs - records_.data()));
}

std::uint64_t PathSet::challenge(const Path& path, Random& random, TimePoint now) {
  if (challenges_.size() >= kChallengesMax) challenges_.erase(challenges_.begin());
  if (challenges_.empty()) challenges_.reserve(1);
  const std::uint64_t token = random.u64();
  challenges_.push_back({token, path, now});
  if (PathRecord* record = find(path)) record->last_challenged = now;
  return token;
}

bool PathSet::is_challenged(const Path& path) const {
  return std::ranges::find(challenges_, path, &Challenge::path) != challenges_.end();
}

void PathSet::note_loss(PathRecord& record, bool lost) {
  float& loss = record.state.loss;
  loss += ((lost ? 1.0F : 0.0F) - loss) * kLossGain;
}

std::optional<PathSet::Answer> PathSet::answered(std::uint64_t token, TimePoint now) {
  forget_challenges(now);
  const auto found = std::ranges::find(challenges_, token, &Challenge::token);
  if (found == challenges_.end()) return std::nullopt;
  const Answer out{found->path, std::max<Duration>(now - found->sent_at, 1us)};
  if (PathRecord* record = find(out.path)) note_loss(*record, false);
  challenges_.erase(found);
  if (challenges_.empty()) challenges_.shrink_to_fit();  // sessions are many, and mostly idle
  return out;
}

void PathSet::forget_challenges(TimePoint now) {
  std::erase_if(challenges_, [&](const Challenge& c) {
    if (now - c.sent_at <= kChallengeLife) return false;
    if (PathRecord* record = find(c.path)) note_loss(*record, true);
    return true;
  });
  if (challenges_.empty()) challenges_.shrink_to_fit();
}

void PathSet::prove(PathRecord& record, Duration round_trip, TimePoint now) {
  PathState& state = record.state;
  if (!state.validated) state.since = now;
  state.validated = record.proven = true;
  state.last_answer = now;
  record.last_heard = now;
  record.suspect = record.announce_move = record.probing = false;
  if (state.answered) record.unanswered = 0;
  if (round_trip == Duration()) return;
  // RFC 6298, 2.3: an eighth of each new sample.
  state.round_trip =
      state.round_trip == Duration() ? round_trip : (state.round_trip * 7 + round_trip) / 8;
}

void PathSet::forget_unproven(TimePoint now) {
  forget_challenges(now);
  const auto is_over = [&](const PathRecord& r) {
    return !r.is_usable() && !r.probing && now - r.state.since > kUnprovenLife &&
           now - r.last_heard > kUnprovenLife;
  };
  if (std::ranges::any_of(records_, is_over)) erase(is_over);
}

}  // namespace wow
