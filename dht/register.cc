#include "dht/register.h"

#include <algorithm>
#include <utility>

namespace wow::dht {

VersionFloors parse_floors(const WireVersionFloors& wire) {
  VersionFloors out;
  for (const auto& floor : wire) {
    const auto owner = Address::parse(view_of(floor.owner()));
    if (owner && out.size() < kVersionFloorsMax) out.push_back({*owner, floor.version()});
  }
  return out;
}

void floors_to_wire(const VersionFloors& floors, WireVersionFloors& out) {
  out.Clear();
  for (const auto& floor : floors) {
    auto& added = *out.Add();
    added.set_owner(to_string(floor.owner.bytes()));
    added.set_version(floor.version);
  }
}

std::uint64_t floor_of(const VersionFloors& floors, const Address& owner) {
  const auto found = std::find_if(floors.begin(), floors.end(),
                                  [&](const auto& floor) { return floor.owner == owner; });
  return found == floors.end() ? 0 : found->version;
}

VersionFloors with_floor(VersionFloors floors, const VersionFloor& added) {
  const auto version = std::max(added.version, floor_of(floors, added.owner));
  std::erase_if(floors, [&](const auto& floor) { return floor.owner == added.owner; });
  if (floors.size() >= kVersionFloorsMax) floors.erase(floors.begin());
  floors.push_back({added.owner, version});
  return floors;
}

std::optional<Register> Register::parse(const pb::Register& wire) {
  Register out;
  out.promised = Ballot::parse(wire.promised());
  if (wire.accepted_epoch() == 0) return out;
  out.accepted = {wire.accepted_epoch(), Ballot::parse(wire.accepted())};
  out.record = wire.record();
  out.floors = parse_floors(wire.floors());
  if (wire.key() == kNextKey) return out;
  out.value = Value::parse(out.record);
  if (!out.value || out.value->key != wire.key()) return std::nullopt;
  out.value->data.clear();
  return out;
}

pb::Register Register::to_wire(const std::string& key, TimePoint now, bool with_record) const {
  pb::Register out;
  out.set_key(key);
  promised.to_wire(*out.mutable_promised());
  if (!accepted.is_set()) return out;
  accepted.ballot.to_wire(*out.mutable_accepted());
  out.set_accepted_epoch(accepted.epoch);
  out.set_age_ms(to_ms(now - since));
  if (!with_record) return out;
  *out.mutable_record() = record;
  floors_to_wire(floors, *out.mutable_floors());
  return out;
}

}  // namespace wow::dht
