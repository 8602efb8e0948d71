#include "tunnel/key_phases.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cassert>
#include <mutex>

namespace wow {
namespace {

constexpr std::uint32_t kGenerations = kKeyPhaseMask + 1;
static_assert(KeyPhases::kOldKept + 2 == kGenerations,
              "each of the two bits' values has a meaning");

// Of all sessions: each takes it a few times in two minutes.
std::mutex& steps() {
  static std::mutex mutex;
  return mutex;
}

// RFC 5869, 2.3: the keys of the next generation, and the secret of those after it.
DirectionKeys ratchet(KeyPhases::Secret& secret) {
  constexpr std::string_view kInfo = "wow key phase 1";
  constexpr std::size_t kBlock = 32, kBytes = kAeadKeyBytes + kAeadNonceBytes + 32;
  std::array<std::uint8_t, 3 * kBlock> out;
  static_assert(sizeof out >= kBytes);
  std::array<std::uint8_t, kBlock + kInfo.size() + 1> in;
  for (std::size_t i = 0; i < out.size() / kBlock; ++i) {
    const std::size_t before = i == 0 ? 0 : kBlock;
    std::copy_n(out.data() + i * kBlock - before, before, in.data());
    std::size_t size = before;
    size += kInfo.copy(reinterpret_cast<char*>(in.data()) + size, kInfo.size());
    in[size++] = static_cast<std::uint8_t>(i + 1);
    unsigned length = 0;
    const auto* made = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), in.data(),
                            size, out.data() + i * kBlock, &length);
    assert(made != nullptr && length == kBlock);
    static_cast<void>(made);
  }
  DirectionKeys keys;
  std::copy_n(out.data(), kAeadKeyBytes, keys.key.begin());
  std::copy_n(out.data() + kAeadKeyBytes, kAeadNonceBytes, keys.iv.begin());
  std::copy_n(out.data() + kAeadKeyBytes + kAeadNonceBytes, secret.size(), secret.begin());
  OPENSSL_cleanse(out.data(), out.size());
  OPENSSL_cleanse(in.data(), in.size());
  return keys;
}

}  // namespace

DirectionKeys::~DirectionKeys() {
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(iv.data(), iv.size());
}

// What was made of it.
struct KeyPhases::Chain {
  std::uint32_t sent = 0;  // generation of `sending`
  DirectionKeys sending;
  std::uint32_t received = 0;                         // the newest of `receiving`
  std::array<DirectionKeys, kGenerations> receiving;  // by the low two bits
};

KeyPhases::KeyPhases(const Secret& sending, const Secret& receiving, std::uint64_t wanted_after)
    : wanted_after_(wanted_after), next_sending_(sending), next_receiving_(receiving) {}

KeyPhases::~KeyPhases() {
  OPENSSL_cleanse(next_sending_.data(), next_sending_.size());
  OPENSSL_cleanse(next_receiving_.data(), next_receiving_.size());
}

std::optional<std::uint32_t> KeyPhases::generation_of(std::uint8_t phase) const {
  const std::uint32_t newest = current() + 1;
  const std::uint32_t back = (newest - phase) & kKeyPhaseMask;
  if (back > newest) return std::nullopt;
  return newest - back;
}

void KeyPhases::note_heard(std::uint32_t generation) {
  const std::lock_guard lock(steps());
  if (heard_.load(std::memory_order_relaxed) > generation) return;
  heard_.store(generation + 1, std::memory_order_relaxed);
  if (generation > current()) raise(generation);
}

void KeyPhases::want_next(std::uint32_t generation) {
  if (current() != generation || heard_.load(std::memory_order_relaxed) <= generation) return;
  const std::lock_guard lock(steps());
  if (current() == generation) raise(generation + 1);
}

void KeyPhases::used(std::int64_t now_ns) {
  const std::int64_t began = began_ns_.load(std::memory_order_relaxed);
  if (began == 0) return began_ns_.store(now_ns, std::memory_order_relaxed);
  if (now_ns - began >= kWantedAfterTime.count()) want_next(current());
}

KeyPhases::Chain& KeyPhases::chain() {
  if (!chain_) chain_ = std::make_unique<Chain>();
  return *chain_;
}

// With the lock held. The next generation's keys for opening are made here too, so that no packet
// waits for them.
void KeyPhases::raise(std::uint32_t generation) {
  Chain& made = chain();
  for (; made.sent < generation; ++made.sent) made.sending = ratchet(next_sending_);
  while (made.received < generation + 1) {
    made.receiving[++made.received & kKeyPhaseMask] = ratchet(next_receiving_);
  }
  began_ns_.store(0, std::memory_order_relaxed);
  current_.store(generation, std::memory_order_release);
}

DirectionKeys KeyPhases::sending(std::uint32_t* generation) {
  const std::lock_guard lock(steps());
  const Chain& made = chain();
  assert(made.sent != 0);
  *generation = made.sent;
  return made.sending;
}

std::optional<DirectionKeys> KeyPhases::receiving(std::uint32_t generation) {
  const std::lock_guard lock(steps());
  const std::uint32_t now = current();
  if (generation == 0 || generation > now + 1 || generation + kOldKept < now) return std::nullopt;
  Chain& made = chain();
  // The first step of all is not made ahead: most sessions never take it.
  if (made.received == 0) made.receiving[++made.received] = ratchet(next_receiving_);
  return made.receiving[generation & kKeyPhaseMask];
}

}  // namespace wow
