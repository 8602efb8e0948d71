// The group that keeps a shard: who, in which epoch of which lineage. A group never changes; the
// next epoch has another. Values only; used by everybody in this folder.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "proto/dht.pb.h"

namespace wow::dht {

// A replica that kept its store. One that lost it is another replica: it forgot its promises.
struct ReplicaId {
  Address address;
  std::uint64_t incarnation = 0;

  auto operator<=>(const ReplicaId&) const = default;
};

// A history of groups, each made by the one before. Where two meet, the lower wins: it has the
// lower number or was founded earlier, so that a node that founded alone while it was cut off does
// not displace the pool it comes back to.
struct Lineage {
  std::uint64_t number = 0;
  std::uint64_t founded = 0;  // seconds since 1970 * 65536, plus random bits
  Address founder;

  auto operator<=>(const Lineage&) const = default;
};

struct EpochId {
  Lineage lineage;
  std::uint64_t epoch = 0;  // 0: none

  bool is_set() const { return epoch != 0; }
  auto operator<=>(const EpochId&) const = default;
};

struct Group {
  EpochId id;
  std::vector<ReplicaId> members;   // 1, 3 or 5
  std::vector<ReplicaId> previous;  // of the epoch before; none in epoch 1
  std::uint32_t shard = 0;

  static std::optional<Group> parse(const pb::Group& wire);
  pb::Group to_wire() const;

  std::size_t majority() const { return members.size() / 2 + 1; }
  bool has(const ReplicaId& replica) const;
  const ReplicaId* find(const Address& address) const;

  bool operator==(const Group&) const = default;
};

inline constexpr std::size_t kGroupMembersMax = 5;
// From here on a group survives a death. It never shrinks below again, and no lineage that has not
// come so far displaces one that has: a lone node can say that it is a group, but not that others
// are in it.
inline constexpr std::size_t kGroupMembersSafe = 3;

// Whoever is nearest to this keeps the shard.
Address shard_centre(std::uint32_t shard = 0);
// The shard of a key: a hash of it up to its first slash. What is counted or listed together
// ("ip/", one lease a node) lies together, and a list asks one group.
std::uint32_t shard_of(std::string_view key, std::size_t shards);

// The epoch in a message's envelope.
EpochId epoch_of(const pb::DhtMessage& message);
void set_epoch(pb::DhtMessage& message, const EpochId& id);

}  // namespace wow::dht
