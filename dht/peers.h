// Which nodes were heard lately, whatever the shard: a node that keeps many shards asks each other
// node once for all of them. Bounded; shared by all shards of a node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/address.h"
#include "base/clock.h"

namespace wow::dht {

class Peers {
 public:
  static constexpr std::size_t kPeersMax = 1024;
  // With fewer shards than these everybody asks for himself: it costs little, and notices sooner.
  static constexpr std::size_t kManyShards = 8;

  // `from` is alive; its incarnation in all shards, or nothing if it differs from shard to shard.
  void hear(const Address& from, std::optional<std::uint64_t> incarnation, TimePoint now) {
    if (!incarnation) {
      peers_.erase(from);
      return;
    }
    if (peers_.size() >= kPeersMax && !peers_.contains(from)) peers_.clear();
    Peer& peer = peers_[from];
    peer.incarnation = *incarnation;
    peer.heard = now;
  }
  // Its incarnation, if it was heard since.
  std::optional<std::uint64_t> heard_since(const Address& node, TimePoint since) const {
    const auto found = peers_.find(node);
    if (found == peers_.end() || found->second.heard < since) return std::nullopt;
    return found->second.incarnation;
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
  std::map<Address, Peer> peers_;
  std::map<Address, TimePoint> asked_;
};

}  // namespace wow::dht
