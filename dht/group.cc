#include "dht/group.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <string>

#include "dht/dht.h"

namespace wow::dht {
namespace {

std::array<std::uint8_t, SHA256_DIGEST_LENGTH> hash(std::string_view text) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(view_of(text).data(), text.size(), digest.data());
  return digest;
}

using WireReplicas = google::protobuf::RepeatedPtrField<pb::Replica>;

std::optional<std::vector<ReplicaId>> parse_replicas(const WireReplicas& wire) {
  if (wire.size() > static_cast<int>(kGroupMembersMax)) return std::nullopt;
  std::vector<ReplicaId> out;
  for (const auto& replica : wire) {
    const auto address = Address::parse(view_of(replica.address()));
    if (!address) return std::nullopt;
    for (const auto& other : out) {
      if (other.address == *address) return std::nullopt;
    }
    out.push_back({*address, replica.incarnation()});
  }
  return out;
}

void add_replicas(const std::vector<ReplicaId>& replicas, WireReplicas& wire) {
  for (const auto& replica : replicas) {
    auto& out = *wire.Add();
    out.set_address(to_string(replica.address.bytes()));
    out.set_incarnation(replica.incarnation);
  }
}

}  // namespace

std::optional<Group> Group::parse(const pb::Group& wire) {
  const auto founder = Address::parse(view_of(wire.founder()));
  auto members = parse_replicas(wire.members());
  auto previous = parse_replicas(wire.previous());
  if (!founder || !members || !previous || wire.shard() >= kDhtShardsMax) return std::nullopt;
  if (wire.lineage() == 0 || wire.epoch() == 0 || members->size() % 2 == 0) return std::nullopt;
  if ((wire.epoch() == 1) != previous->empty()) return std::nullopt;
  return Group{{{wire.lineage(), wire.founded(), *founder}, wire.epoch()},
               std::move(*members),
               std::move(*previous),
               wire.shard()};
}

pb::Group Group::to_wire() const {
  pb::Group out;
  out.set_shard(shard);
  out.set_lineage(id.lineage.number);
  out.set_founded(id.lineage.founded);
  out.set_founder(to_string(id.lineage.founder.bytes()));
  out.set_epoch(id.epoch);
  add_replicas(members, *out.mutable_members());
  add_replicas(previous, *out.mutable_previous());
  return out;
}

bool Group::has(const ReplicaId& replica) const {
  return std::find(members.begin(), members.end(), replica) != members.end();
}

const ReplicaId* Group::find(const Address& address) const {
  for (const auto& member : members) {
    if (member.address == address) return &member;
  }
  return nullptr;
}

Address shard_centre(std::uint32_t shard) {
  return Address::from_bytes(hash("wow shard " + std::to_string(shard)));
}

std::uint32_t shard_of(std::string_view key, std::size_t shards) {
  if (shards <= 1) return 0;
  const auto digest = hash(key.substr(0, key.find('/')));
  return static_cast<std::uint32_t>(get_big_endian(digest.data(), 4) % shards);
}

EpochId epoch_of(const pb::DhtMessage& message) {
  const auto founder = Address::parse(view_of(message.founder()));
  if (!founder) return {};
  return {{message.lineage(), message.founded(), *founder}, message.epoch()};
}

void set_epoch(pb::DhtMessage& message, const EpochId& id) {
  if (!id.is_set()) return;
  message.set_lineage(id.lineage.number);
  message.set_founded(id.lineage.founded);
  message.set_founder(to_string(id.lineage.founder.bytes()));
  message.set_epoch(id.epoch);
}

}  // namespace wow::dht
