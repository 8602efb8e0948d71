// Values as their writers signed them: parsing, proof of origin, and the rules of the namespaces.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "dht/context.h"
#include "proto/identity.pb.h"

namespace wow::dht {

struct Value {
  std::string key;
  Bytes data;
  Address owner;
  std::uint64_t version = 0;
  Duration ttl{};
  bool removed = false;

  // Nothing if a field is missing or beyond its bound. Proves nothing.
  static std::optional<Value> parse(const pb::Record& record);
  // How long a replica counts before the key is free: the owner counted from sending and stopped
  // before, whatever crystal either has.
  Duration lifetime() const { return ttl + ttl / 100 + 10s; }
};

inline constexpr Duration kTtlMin = 1s;
inline constexpr Duration kTtlMax = 366 * 24h;
inline constexpr std::size_t kChainBytesMax = 4096;

// Signs a value of ours.
pb::Record sign_record(const Credentials& credentials, const Value& value);

class RecordChecker {
 public:
  explicit RecordChecker(Context& context) : context_(context) {}

  // Whether a member that is still welcome, `value.owner`, signed it. Remembers what held.
  bool authentic(const pb::Record& record, const Value& value);
  // The invite by which the owner came: an identifier, empty if unknown. Remembers chains.
  std::string invite_of(const pb::Record& record);
  // Whether the writer's invite lets it put a LAN behind its node.
  bool may_bridge(const pb::Record& record) const;
  // Why the rules of its namespace forbid the value; empty if they do not.
  std::string objection(const Value& value, const pb::Record& record);

 private:
  void refresh();
  bool verify(const pb::Record& record, const Value& value) const;
  std::string lease_objection(std::string_view text, const pb::Record& record) const;
  // Whether the writer's invite allows its guests an address outside the pool.
  bool may_route(const IpAddress& ip, const pb::Record& record) const;
  std::string reserved_for_another(const Value& value) const;

  Context& context_;
  std::unordered_set<std::string> held_;                  // hashes of records that were authentic
  std::unordered_map<std::string, std::string> invites_;  // of chains, by their hash
  TimePoint held_since_{};
  std::uint64_t settings_number_ = 0;
  pb::Settings settings_;
};

}  // namespace wow::dht
