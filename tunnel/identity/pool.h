// The root of a pool: its key, its certificate, the settings it last signed, and the pool key. `wow
// pool create` makes one; only `wow pool ...` and `wow invite ...` ever load it, and it can stay
// offline. Any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "proto/identity.pb.h"
#include "tunnel/identity/ed25519.h"
#include "tunnel/identity/settings.h"

namespace wow {

inline constexpr std::size_t kPoolKeyBytes = 32;

struct PoolOptions {
  std::string name;                 // [a-z0-9-]{1,63}
  std::string subnet;               // IPv4, /8 to /30: "10.128.0.0/16"
  std::uint32_t mtu = kMtuDefault;  // bytes, kMtuMin..kMtuMax
  std::uint32_t lease_seconds = 0;  // 0: 7 days
  std::uint32_t dht_shards = 0;     // of the store: a power of two up to 256; 0: 1
};

class PoolRoot {
 public:
  // A new pool with settings number 1. kInvalidArgument names the option that is wrong.
  static Result<PoolRoot> create(const PoolOptions& options, WallTime now);

  // The root file: PEM blocks (key, certificate, settings, pool key, certificates of the invites
  // issued) under a comment. The caller writes it with mode 0600, in place of the old one by a
  // rename, after every change below.
  SecretText to_text() const;
  static Result<PoolRoot> parse(std::string_view text);

  const pb::Settings& settings() const { return settings_; }
  const Bytes& signed_settings() const {
    return signed_settings_;
  }                                                          // a serialized pb::SignedSettings
  const Bytes& certificate() const { return certificate_; }  // DER
  std::string root_fingerprint() const;  // "AB:CD:...", SHA-256 of the certificate
  ByteView pool_key() const { return pool_key_; }
  const PrivateKey& key() const { return key_; }

  // What was granted to each invite made from this root file, oldest first: how `wow invite close
  // LABEL` finds the id. An invite issued from another copy of the file is missing here; its own
  // file tells its id.
  std::vector<pb::Rights> issued() const;
  void record_issued(Bytes invite_certificate) { issued_.push_back(std::move(invite_certificate)); }

  // Each change makes and signs settings with the next number, stamped `now`; on an error nothing
  // changes. kInvalidArgument or kExhausted, as check_settings().
  Result<void> revise(const std::function<void(pb::Settings&)>& edit, WallTime now);
  // Nobody joins by this invite any more; of those who did, only `kept` stay. Closing again
  // replaces the list.
  Result<void> close_invite(ByteView invite_id, const std::vector<Address>& kept, WallTime now);
  Result<void> revoke_invite(ByteView invite_id, WallTime now);
  Result<void> revoke_node(const Address& node, WallTime now);
  Result<void> set_reservations(const std::vector<pb::Reservation>& reservations, WallTime now);
  Result<void> set_mtu(std::uint32_t bytes, WallTime now);
  // The node that founds the DHT; zero: the first that finds nobody.
  Result<void> set_founder(const Address& node, WallTime now);

 private:
  explicit PoolRoot(PrivateKey key) : key_(std::move(key)) {}

  PrivateKey key_;
  Bytes certificate_;
  pb::Settings settings_;
  Bytes signed_settings_;
  Secret pool_key_;
  std::vector<Bytes> issued_;
};

}  // namespace wow
