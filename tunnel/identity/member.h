// What a machine keeps once it has joined a pool: its own key and the certificate it issued to
// itself with the invite's key. The invite's key is not in it; the caller erases the invite after
// it has stored this. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/error.h"
#include "tunnel/identity/ed25519.h"
#include "tunnel/identity/invite.h"

namespace wow {

struct Membership {
  PrivateKey key;
  Bytes chain;             // end and invite certificate, each behind its 2-byte length
  Bytes root_certificate;  // DER
  Secret pool_key;         // 32 bytes
  Bytes signed_settings;   // those at joining; newer ones the daemon stores in a file of their own
  std::vector<std::string> bootstraps;
  Bytes invite_id;  // 16 bytes

  Address address() const { return address_of_public_key(key.public_key()); }
  // Of the settings above. Valid in every Membership that join() or parse() made.
  pb::Settings settings() const;

  // The member file: PEM blocks under a comment. The caller writes it with mode 0600.
  SecretText to_text() const;
  // kInvalidArgument: damaged; kUntrusted: its parts do not belong together.
  static Result<Membership> parse(std::string_view text);
};

// Joins: a new key, or `existing`'s if this machine is a member of the same pool (it then gets this
// invite's rights and keeps its address, and the newer settings and both lists of bootstraps
// count). Times: the machine's calendar, and when the program was built. Errors, each one sentence:
// kExpired (past the join-by date), kUntrusted (the invite is closed or revoked, or its certificate
// is not valid), kAlreadyExists (`existing` belongs to another pool).
Result<Membership> join(const Invite& invite, WallTime local, WallTime build_date,
                        const Membership* existing = nullptr);

}  // namespace wow
