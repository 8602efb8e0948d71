// An invite: one text file that admits machines to a pool. It holds a CA under the pool's root,
// with its private key, so that a machine issues its own certificate and needs no enrolment server.
// Whoever has the file can join. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "tunnel/identity/pool.h"

namespace wow {

inline constexpr std::size_t kBootstrapsMax = 32;

struct InviteOptions {
  std::string label;                // what the operator calls it: letters, digits, '.', '-', '_'
  std::vector<std::string> groups;  // that its members belong to
  bool bridge = false;              // may put a whole LAN behind one node
  std::vector<std::string> routes;  // prefixes that its members may announce
  std::optional<WallTime> join_by;  // honest machines refuse to join later; nothing: no limit
  // "198.51.100.7:4433", "[2001:db8::7]:4433" or "host.example:4433"
  std::vector<std::string> bootstraps;
};

// What `wow invite show` tells; no secret is in it.
struct InviteFacts {
  std::string pool;
  std::string subnet;
  std::uint32_t mtu = 0;
  std::string label;
  std::string id;  // 32 hexadecimal digits
  std::vector<std::string> groups;
  bool bridge = false;
  std::vector<std::string> routes;
  std::optional<WallTime> join_by;
  std::vector<std::string> bootstraps;
  std::string root_fingerprint;       // SHA-256, "AB:CD:..."
  std::uint64_t settings_number = 0;  // of the settings inside
  bool closed = false;                // by those settings, closed or revoked
};

class Invite {
 public:
  // A new invite of the pool; `root` also records it: write its file anew. kInvalidArgument names
  // what is wrong.
  static Result<Invite> create(PoolRoot& root, const InviteOptions& options);

  // The file: a comment, then one armored block. The caller writes it with mode 0600.
  SecretText to_text() const;
  // Everything inside is checked, signatures too; the join-by date is join()'s. One sentence says
  // whether the text is no invite, cut short, damaged (kInvalidArgument) or of another version, or
  // inconsistent (kUntrusted).
  static Result<Invite> parse(std::string_view text);

  InviteFacts explain() const;

  const Bytes& root_certificate() const { return root_certificate_; }      // DER
  const Bytes& invite_certificate() const { return invite_certificate_; }  // DER
  const PrivateKey& key() const { return key_; }
  const Bytes& signed_settings() const { return signed_settings_; }
  const pb::Settings& settings() const { return settings_; }
  const pb::Rights& rights() const { return rights_; }
  const std::vector<std::string>& bootstraps() const { return bootstraps_; }
  ByteView pool_key() const { return pool_key_; }

 private:
  explicit Invite(PrivateKey key) : key_(std::move(key)) {}
  static Result<Invite> from_message(const pb::Invite& message);

  PrivateKey key_;
  Bytes root_certificate_;
  Bytes invite_certificate_;
  Bytes signed_settings_;
  pb::Settings settings_;
  pb::Rights rights_;
  std::vector<std::string> bootstraps_;
  Secret pool_key_;
};

// "2026-02-19 14:05 UTC"
std::string date_text(WallTime time);

// "host:port", printable, the port from 1 to 65535; the host is not looked up.
bool is_bootstrap(std::string_view text);

}  // namespace wow
