// Which nodes were heard lately, whatever the shard: a node that keeps many shards asks each other
// node once for all of them. Bounded; shared by all shards of a node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "dht/group.h"

namespace wow::dht {

class Peers {
 public:
  static constexpr std::size_t kPeersMax = 1024;
  // With fewer shards than these everybody asks for himself: it costs little, and notices sooner.
  static constexpr std::size_t kManyShards = 8;

  // `from` is alive, with this incarnation in all shards, or only in this one.
  void hear(const ReplicaId& from, std::uint32_t shard, bool same_everywhere, TimePoint now) {
    if (same_everywhere) {
      note(peers_, from.address, {from.incarnation, now});
    } else {
      peers_.erase(from.address);
      note(in_shard_, std::pair(from.address, shard), {from.incarnation, now});
    }
  }
  // Its incarnation, if it was heard since.
  std::optional<std::uint64_t> heard_since(const Address& node, TimePoint since) const {
    const auto found = peers_.find(node);
    if (found == peers_.end() || found->second.heard < since) return std::nullopt;
    return found->second.incarnation;
  }
  // Whether this very replica was heard since.
  bool is_alive(const ReplicaId& replica, std::uint32_t shard, TimePoint since) const {
    if (heard_since(replica.address, since) == replica.incarnation) return true;
    const auto found = in_shard_.find(std::pair(replica.address, shard));
    return found != in_shard_.end() && found->second.heard >= since &&
           found->second.incarnation == replica.incarnation;
  }
  // Whether to ask it now: false if another shard did so since.
  bool note_asked(const Address& node, TimePoint now, TimePoint since) {
    if (asked_.size() >= kPeersMax) asked_.clear();
    const auto [at, is_first] = asked_.try_emplace(node, now);
    if (!is_first && at->second > since) return false;
    at->second = now;
    return true;
  }

  bool is_busy() const { return served > kManyShards; }
  std::size_t served = 0;    // shards that we serve
  bool renounced = false;    // our incarnation differs from shard to shard
  std::size_t changing = 0;  // groups that we are changing

 private:
  struct Peer {
    std::uint64_t incarnation = 0;
    TimePoint heard{};
  };
  template <typename Map>
  static void note(Map& map, const typename Map::key_type& key, const Peer& peer) {
    if (map.size() >= kPeersMax && !map.contains(key)) map.clear();
    map[key] = peer;
  }

  std::map<Address, Peer> peers_;                               // the same in all shards
  std::map<std::pair<Address, std::uint32_t>, Peer> in_shard_;  // others, by shard
  std::map<Address, TimePoint> asked_;
};

}  // namespace wow::dht
