// One key as a replica keeps it (CASPaxos: an acceptor), and the ballots that order writes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dht/record.h"

namespace wow::dht {

struct Ballot {
  std::uint64_t round = 0;
  Address proposer;  // breaks ties

  auto operator<=>(const Ballot&) const = default;

  // The zero ballot if the proposer is malformed: it never wins anything.
  static Ballot parse(const pb::Ballot& wire) {
    const auto proposer = Address::parse(view_of(wire.proposer()));
    return proposer ? Ballot{wire.round(), *proposer} : Ballot{};
  }
  void to_wire(pb::Ballot& out) const {
    out.set_round(round);
    out.set_proposer(to_string(proposer.bytes()));
  }
};

// Which write a register holds. A later epoch beats any ballot of an earlier one.
struct Stamp {
  std::uint64_t epoch = 0;
  Ballot ballot;

  bool is_set() const { return epoch != 0; }
  auto operator<=>(const Stamp&) const = default;
};

// What `owner` writes to this key must have a later version. A write that was refused, or was
// overwritten by another owner, may still be on its way from another coordinator, that the client
// had asked first: it must not take effect when nobody expects it any more.
struct VersionFloor {
  Address owner;
  std::uint64_t version = 0;
};
using VersionFloors = std::vector<VersionFloor>;  // oldest first
inline constexpr std::size_t kVersionFloorsMax = 16;

using WireVersionFloors = google::protobuf::RepeatedPtrField<pb::VersionFloor>;
VersionFloors parse_floors(const WireVersionFloors& wire);
void floors_to_wire(const VersionFloors& floors, WireVersionFloors& out);
// 0: any version may be written.
std::uint64_t floor_of(const VersionFloors& floors, const Address& owner);
// With `added` as the newest; the oldest gives way.
VersionFloors with_floor(VersionFloors floors, const VersionFloor& added);

struct Register {
  Ballot promised;
  Stamp accepted;
  pb::Record record;           // if accepted
  std::optional<Value> value;  // the same, parsed, without its data
  TimePoint since{};           // accepted (or promised, while nothing is accepted)
  VersionFloors floors;
  std::string invite{};  // by which the owner came, for its quota

  bool is_live(TimePoint now) const { return value && !value->removed && !is_expired(now); }
  bool is_expired(TimePoint now) const { return value && now - since > value->lifetime(); }

  // Nothing if malformed. `since` is the caller's: a clock's reading means nothing elsewhere.
  static std::optional<Register> parse(const pb::Register& wire);
  pb::Register to_wire(const std::string& key, TimePoint now, bool with_record) const;
};

// The key of the register `next` of each epoch, whose record's value is the following group.
inline const std::string kNextKey;

}  // namespace wow::dht
