#include "tunnel/data_keys.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/random.h"

namespace wow {
namespace {

DirectionKeys keys() {
  DirectionKeys out;
  std::iota(out.key.begin(), out.key.end(), 0);
  std::iota(out.iv.begin(), out.iv.end(), 0x40);
  return out;
}

PacketBuffer plain(std::string_view text) {
  PacketBuffer out;
  const ByteView bytes = view_of(text);
  out.resize(bytes.size());
  std::copy(bytes.begin(), bytes.end(), out.data());
  return out;
}

Bytes sealed(Sealer& sealer, std::string_view text) {
  PacketBuffer buffer = plain(text);
  EXPECT_TRUE(sealer.seal(buffer));
  return to_bytes(buffer.view());
}

std::string opened(Opener& opener, Bytes packet, OpenFailure* why) {
  const auto text = opener.open(packet, why);
  return text ? to_string(*text) : "";
}

class DataKeys : public testing::TestWithParam<CipherSuite> {
 protected:
  KeyPhases phases_{{}, {}};
  Sealer sealer_{GetParam(), keys(), phases_, 0x01020304, 3};
  Opener opener_{GetParam(), keys(), phases_};
  OpenFailure why_ = OpenFailure::kNone;
};
INSTANTIATE_TEST_SUITE_P(Suites, DataKeys,
                         testing::Values(CipherSuite::kAes256Gcm, CipherSuite::kChaCha20Poly1305));

TEST_P(DataKeys, WhatIsSealedOpensAndCostsThirtyTwoBytes) {
  sealer_.set_salt(0xa1a2a3a4);
  sealed(sealer_, "-first");
  const Bytes packet = sealed(sealer_, "\x01payload");
  EXPECT_EQ(packet.size(), 8 + DataHeader::kBytes + kAeadTagBytes);
  EXPECT_EQ(to_hex(ByteView(packet).first(16)),
            "1003"
            "01020304"
            "a1a2a3a4"
            "000000000001");
  EXPECT_EQ(opened(opener_, packet, &why_), "\x01payload");
  EXPECT_EQ(why_, OpenFailure::kNone);
}

// The nonce is IV xor | salt 4 | lane 1 | 0 | counter 6 |: the same bytes from an independent
// implementation (Python's cryptography, key 00..1f, IV 40..4b).
TEST(DataKeysVector, PacketIsTheSameForEver) {
  KeyPhases phases({}, {});
  Sealer aes(CipherSuite::kAes256Gcm, keys(), phases, 0x01020304, 3);
  Sealer chacha(CipherSuite::kChaCha20Poly1305, keys(), phases, 0x01020304, 3);
  aes.set_salt(0xa1a2a3a4);
  chacha.set_salt(0xa1a2a3a4);
  EXPECT_EQ(to_hex(sealed(aes, "\x01payload")),
            "100301020304a1a2a3a4000000000000"
            "44166a34641597c8"
            "b337bc7f3740d6a54a85a0712519d629");
  EXPECT_EQ(to_hex(sealed(chacha, "\x01payload")),
            "100301020304a1a2a3a4000000000000"
            "9e8334a8317e0852"
            "0ab8c0afb6c667509b2af922a6f6a625");
}

TEST_P(DataKeys, NoByteMayChange) {
  const Bytes packet = sealed(sealer_, "\x01payload");
  for (std::size_t i = 0; i < packet.size(); ++i) {
    for (const int bit : {0, 7}) {
      Bytes changed = packet;
      changed[i] ^= static_cast<std::uint8_t>(1 << bit);
      EXPECT_EQ(opened(opener_, changed, &why_), "") << i;
      EXPECT_NE(why_, OpenFailure::kNone);
    }
  }
  EXPECT_EQ(opened(opener_, packet, &why_), "\x01payload") << "no forgery used up the counter";
}

TEST_P(DataKeys, AForgeryIsWiped) {
  Bytes packet = sealed(sealer_, "\x01payload");
  packet.back() ^= 1;
  EXPECT_FALSE(opener_.open(packet, &why_));
  EXPECT_EQ(Bytes(packet.begin() + 16, packet.end() - 16), Bytes(8));
  EXPECT_EQ(opener_.failed(), 1u);
}

TEST_P(DataKeys, TruncatedAndStrangePacketsAreMalformed) {
  const Bytes packet = sealed(sealer_, "x");
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_EQ(opened(opener_, Bytes(packet.begin(), packet.begin() + size), &why_), "");
    EXPECT_EQ(why_, OpenFailure::kMalformed);
  }
  Bytes lane = packet;
  lane[1] = kLanesMax;
  EXPECT_EQ(opened(opener_, lane, &why_), "");
  EXPECT_EQ(why_, OpenFailure::kMalformed);
}

TEST_P(DataKeys, APacketOpensOnceOnItsOwnLane) {
  Sealer other(GetParam(), keys(), phases_, 0x01020304, 0);
  const Bytes packet = sealed(sealer_, "x"), same_counter = sealed(other, "y");
  EXPECT_EQ(opened(opener_, packet, &why_), "x");
  EXPECT_EQ(opened(opener_, packet, &why_), "");
  EXPECT_EQ(why_, OpenFailure::kReplayed);
  EXPECT_EQ(opened(opener_, same_counter, &why_), "y");
}

TEST_P(DataKeys, ANewSaltMakesANewNonce) {
  Sealer resumed(GetParam(), keys(), phases_, 0x01020304, 3);  // the same counter once more
  sealer_.set_salt(1);
  resumed.set_salt(2);
  const Bytes before = sealed(sealer_, "aaaaaaaa"), after = sealed(resumed, "aaaaaaaa");
  EXPECT_NE(Bytes(before.begin() + 16, before.end()), Bytes(after.begin() + 16, after.end()));
}

TEST(ReplayWindow, AcceptsEachCounterOnceInAnyOrder) {
  ReplayWindow<kReplayWindowPackets> window;
  for (const std::uint64_t counter : {5, 0, 3, 100, 99, 8000, 1, 8191}) {
    EXPECT_TRUE(window.would_accept(counter)) << counter;
    window.accept(counter);
    EXPECT_FALSE(window.would_accept(counter)) << counter;
  }
}

TEST(ReplayWindow, ForgetsWhatIsOlderThanItIsWide) {
  ReplayWindow<kReplayWindowPackets> window;
  window.accept(kReplayWindowPackets);
  EXPECT_FALSE(window.would_accept(0));
  EXPECT_TRUE(window.would_accept(1));
  window.accept(1);
  EXPECT_FALSE(window.would_accept(1));
  window.accept(1000000);
  EXPECT_FALSE(window.would_accept(1000000 - kReplayWindowPackets));
  EXPECT_TRUE(window.would_accept(1000001 - kReplayWindowPackets));
  EXPECT_TRUE(window.would_accept(999999));
}

// Against the definition, with jumps of every size about a word's and the window's.
template <std::uint64_t kPackets>
void compare_with_a_set() {
  SeededRandom random(7);
  ReplayWindow<kPackets> window;
  std::set<std::uint64_t> seen;
  std::uint64_t newest = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t reach = random.below(100) == 0 ? 3 * kPackets : 130;
    const std::uint64_t base = newest > reach ? newest - reach : 0;
    const std::uint64_t counter = base + random.below(2 * reach);
    const bool expected = !seen.contains(counter) && counter + kPackets > newest;
    ASSERT_EQ(window.would_accept(counter), expected) << counter << " after " << newest;
    if (!expected) continue;
    window.accept(counter);
    seen.insert(counter);
    newest = std::max(newest, counter);
  }
}

TEST(ReplayWindow, AgreesWithASetOfCounters) { compare_with_a_set<kReplayWindowPackets>(); }
TEST(ReplayWindow, OfTheControlLaneToo) { compare_with_a_set<kControlReplayWindowPackets>(); }

}  // namespace
}  // namespace wow
