// The pool settings: one numbered document signed by the root key, which every node holds, compares
// at each handshake and never rolls back. Checks and signatures here; spreading is the overlay's.
// Any thread.
#pragma once

#include "base/address.h"
#include "base/clock.h"
#include "base/error.h"
#include "proto/identity.pb.h"
#include "tunnel/identity/ed25519.h"

namespace wow {

inline constexpr std::uint32_t kMtuMin = 576;
inline constexpr std::uint32_t kMtuMax = 65521;
inline constexpr std::uint32_t kMtuDefault = 1380;
inline constexpr std::uint32_t kLeaseSecondsDefault = 7 * 24 * 3600;
// Signed settings must fit one control message; that is about 2,800 nodes revoked or kept.
inline constexpr std::size_t kSettingsBytesMax = 60'000;

// [a-z0-9-]{1,63}: names of pools and hosts.
bool is_pool_name(std::string_view name);

// kInvalidArgument (one sentence that names the field) or kExhausted (too large).
Result<void> check_settings(const pb::Settings& settings);

// A serialized pb::SignedSettings of settings that check_settings() accepts.
Bytes sign_settings(const pb::Settings& settings, const PrivateKey& root);

// kUntrusted: not signed by this root; kInvalidArgument: signed, but out of bounds.
Result<pb::Settings> verify_settings(ByteView signed_settings, ByteView root_public_key);

// 0 in the document stands for the default.
std::uint32_t lease_seconds(const pb::Settings& settings);

// Why the settings shut this node out, as a sentence; kUntrusted. Nothing wrong: it is welcome.
Result<void> check_welcome(const pb::Settings& settings, const Address& node, ByteView invite_id);

// When certificates and dates are judged: no earlier than the program was built and than the root
// last signed, so that a machine with a dead clock battery still works. `local` is the machine's
// calendar.
WallTime judged_time(WallTime local, WallTime build_date, const pb::Settings& settings);

}  // namespace wow
