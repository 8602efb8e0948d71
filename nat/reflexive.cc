#include "nat/reflexive.h"

#include <algorithm>
#include <iterator>

namespace wow {
namespace {

struct Tally {
  Endpoint endpoint;
  std::size_t votes = 0;
  TimePoint newest{};
};

// Counts the votes that `counts` lets in, most-voted first; of equals the newest, since a mapping
// just seen is alive.
template <typename Votes, typename Filter>
std::vector<Tally> tally(const Votes& votes, Filter counts) {
  std::vector<Tally> out;
  for (const auto& vote : votes) {
    if (!counts(vote)) continue;
    auto found = std::find_if(out.begin(), out.end(),
                              [&](const Tally& t) { return t.endpoint == vote.seen; });
    if (found == out.end()) found = out.insert(out.end(), {vote.seen});
    ++found->votes;
    found->newest = std::max(found->newest, vote.at);
  }
  std::stable_sort(out.begin(), out.end(), [](const Tally& a, const Tally& b) {
    return a.votes != b.votes ? a.votes > b.votes : a.newest > b.newest;
  });
  return out;
}

bool contains(const std::vector<Endpoint>& list, const Endpoint& e) {
  return std::find(list.begin(), list.end(), e) != list.end();
}

}  // namespace

std::string_view to_string(NatMapping mapping) {
  switch (mapping) {
    case NatMapping::kNone:
      return "none";
    case NatMapping::kEndpointIndependent:
      return "endpoint-independent";
    case NatMapping::kDependent:
      return "dependent";
    case NatMapping::kUnknown:
      break;
  }
  return "unknown";
}

bool ReflexiveVotes::vote(const Address& peer, const Endpoint& peer_endpoint, const Endpoint& seen,
                          TimePoint now) {
  const bool plausible = seen.is_set() && !seen.ip.is_unspecified() && !seen.ip.is_multicast() &&
                         seen.ip.is_v4() == peer_endpoint.ip.is_v4() &&
                         seen.ip.is_loopback() == peer_endpoint.ip.is_loopback();
  if (!plausible) return false;
  // Mostly nothing is new, and keepalives are many.
  const auto same = std::find_if(votes_.begin(), votes_.end(), [&](const Vote& v) {
    return v.peer == peer && v.seen == seen && v.peer_endpoint == peer_endpoint;
  });
  if (same != votes_.end() && now - same->at <= kVoteLife) {
    same->at = now;
    std::rotate(same, same + 1, votes_.end());
    return false;
  }
  std::erase_if(votes_, [&](const Vote& v) {
    const bool replaced = v.peer == peer && v.seen.ip.is_v4() == seen.ip.is_v4() &&
                          v.peer_endpoint.ip.is_private() == peer_endpoint.ip.is_private();
    return replaced || now - v.at > kVoteLife;
  });
  if (votes_.size() >= kVotesMax)
    votes_.erase(votes_.begin());  // the oldest: votes are kept in order of time
  votes_.push_back({peer, peer_endpoint, seen, now});
  return true;
}

void ReflexiveVotes::forget_all() { votes_.clear(); }

std::vector<Endpoint> ReflexiveVotes::endpoints(const std::vector<Endpoint>& own,
                                                TimePoint now) const {
  const auto comparable = [](const Vote& a, const Vote& b) {
    return a.seen.ip.is_v4() == b.seen.ip.is_v4() &&
           a.peer_endpoint.ip.is_private() == b.peer_endpoint.ip.is_private();
  };
  const auto counted = tally(
      votes_, [&](const Vote& v) { return now - v.at <= kVoteLife && !contains(own, v.seen); });
  // Who asked whom from where tells whose word can be compared with whose.
  const auto believed = [&](const Endpoint& seen) {
    return std::any_of(votes_.begin(), votes_.end(), [&](const Vote& v) {
      if (now - v.at > kVoteLife || v.seen != seen) return false;
      return std::all_of(votes_.begin(), votes_.end(),
                         [&](const Vote& other) {
                           return &other == &v || !comparable(other, v) ||
                                  now - other.at > kVoteLife;
                         }) ||
             std::any_of(votes_.begin(), votes_.end(), [&](const Vote& other) {
               return &other != &v && comparable(other, v) && now - other.at <= kVoteLife &&
                      other.seen.ip == v.seen.ip;
             });
    });
  };
  std::vector<Endpoint> out;
  for (const Tally& t : counted) {
    if (out.size() < kEndpointsMax && believed(t.endpoint)) out.push_back(t.endpoint);
  }
  return out;
}

NatMapping ReflexiveVotes::mapping(const std::vector<Endpoint>& own, TimePoint now) const {
  // IPv4 before IPv6, for that is where the NATs are; peers beyond our NAT before those behind it.
  for (const bool v4 : {true, false}) {
    for (const bool far : {true, false}) {
      const auto counted = tally(votes_, [&](const Vote& v) {
        return now - v.at <= kVoteLife && v.seen.ip.is_v4() == v4 &&
               (!far || !v.peer_endpoint.ip.is_private());
      });
      std::size_t total = 0, ours = 0;
      for (const Tally& t : counted) {
        total += t.votes;
        if (contains(own, t.endpoint)) ours += t.votes;
      }
      if (total == 0) continue;
      // A majority, so that one liar or one stale answer does not decide.
      if (ours * 2 > total) return NatMapping::kNone;
      if (total == 1) return NatMapping::kUnknown;
      return counted[0].votes * 2 > total ? NatMapping::kEndpointIndependent
                                          : NatMapping::kDependent;
    }
  }
  return NatMapping::kUnknown;
}

}  // namespace wow
