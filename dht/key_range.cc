#include "dht/key_range.h"

#include <openssl/sha.h>

#include "base/bytes.h"

namespace wow::dht {
namespace {

void add_string(Writer& out, const std::string& s) {
  out.u32(static_cast<std::uint32_t>(s.size())).bytes(view_of(s));
}

// But for the owner's certificates: his signature is there.
void add(Writer& out, const std::string& key, const Register& state) {
  add_string(out, key);
  out.u64(state.accepted.epoch).u64(state.accepted.ballot.round);
  out.bytes(state.accepted.ballot.proposer.bytes());
  add_string(out, state.record.value());
  add_string(out, state.record.signature());
  out.u32(static_cast<std::uint32_t>(state.floors.size()));
  for (const VersionFloor& floor : state.floors) out.bytes(floor.owner.bytes()).u64(floor.version);
}

}  // namespace

std::vector<KeyRange> ranges_after(const Registers& registers, const std::string& after_key) {
  std::vector<KeyRange> out;
  std::string from = after_key;
  std::size_t keys = 0;
  const auto end_at = [&](const std::string& key) {
    out.push_back({key, *digest_of(registers, from, key)});
    from = key;
    keys = 0;
  };
  std::string last;
  for (auto it = registers.upper_bound(after_key); it != registers.end(); ++it) {
    if (!it->second.accepted.is_set()) continue;
    last = it->first;
    if (++keys == KeyRange::kKeys) end_at(last);
    if (out.size() == KeyRange::kAtOnceMax) return out;
  }
  if (keys > 0) end_at(last);
  return out;
}

std::optional<std::string> digest_of(const Registers& registers, const std::string& after_key,
                                     const std::string& until) {
  Writer all;
  std::size_t keys = 0;
  for (auto it = registers.upper_bound(after_key); it != registers.end() && it->first <= until;
       ++it) {
    if (!it->second.accepted.is_set()) continue;
    if (++keys > 2 * KeyRange::kKeys) return std::nullopt;
    add(all, it->first, it->second);
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(all.view().data(), all.view().size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  digest.resize(KeyRange::kDigestBytes);
  return digest;
}

}  // namespace wow::dht
