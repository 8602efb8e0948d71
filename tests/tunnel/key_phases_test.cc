#include "tunnel/key_phases.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tunnel/data_keys.h"

namespace wow {
namespace {

constexpr std::uint64_t kWanted = 10;
constexpr std::int64_t kSecond = 1'000'000'000;

KeyPhases::Secret secret(std::uint8_t value) {
  KeyPhases::Secret out;
  out.fill(value);
  return out;
}

DirectionKeys keys(std::uint8_t value) {
  DirectionKeys out;
  out.key.fill(value);
  return out;
}

// One end of a session with two lanes.
struct End {
  End(std::uint8_t out, std::uint8_t in) : phases(secret(out), secret(in), kWanted) {
    for (const std::uint8_t lane : {0, 1}) {
      lanes.emplace_back(CipherSuite::kAes256Gcm, keys(out), phases, 7, lane);
    }
    opener = std::make_unique<Opener>(CipherSuite::kAes256Gcm, keys(in), phases);
  }
  // Empty if it may not.
  Bytes seal(int lane = 1) {
    const Bytes plain(20, 4);
    Bytes out(plain.size() + kSealedBytes);
    return lanes[static_cast<std::size_t>(lane)].seal(plain, out.data()) ? out : Bytes();
  }
  OpenFailure open(Bytes packet) {
    OpenFailure why{};
    opener->open(packet, &why);
    return why;
  }

  KeyPhases phases;
  std::vector<Sealer> lanes;
  std::unique_ptr<Opener> opener;
};

class KeyPhasesTest : public testing::Test {
 protected:
  void to_b(int packets, int lane = 1) {
    for (int i = 0; i < packets; ++i) EXPECT_EQ(b_.open(a_.seal(lane)), OpenFailure::kNone);
  }
  void to_a(int packets, int lane = 1) {
    for (int i = 0; i < packets; ++i) EXPECT_EQ(a_.open(b_.seal(lane)), OpenFailure::kNone);
  }
  // Both ends one generation further.
  void step() {
    to_a(1);
    to_b(kWanted + 1);
    to_a(1);
  }
  End a_{1, 2}, b_{2, 1};
};

// HKDF-Expand of 76 bytes from secret 01..01 and "wow key phase 1", by Python's hmac.
TEST_F(KeyPhasesTest, TheNextKeysAreTheSameForEver) {
  step();
  std::uint32_t generation = 0;
  const DirectionKeys first = a_.phases.sending(&generation);
  EXPECT_EQ(generation, 1u);
  EXPECT_EQ(to_hex(first.key), "014311bea28a74230f8d4b62c84c5911366a9b21ac9a05fa2be6b5cf083a8d23");
  EXPECT_EQ(to_hex(first.iv), "d994f923e497c0402f31030c");
  step();
  EXPECT_EQ(to_hex(a_.phases.sending(&generation).key),
            "4b77f94579b024a3632eb33c51606e1746ec904a5d7244ea322d509cd0cf787e");
  EXPECT_EQ(generation, 2u);
}

TEST_F(KeyPhasesTest, BothEndsStepTogetherAndNoPacketIsLost) {
  for (int i = 0; i < 100; ++i) step();
  EXPECT_EQ(a_.phases.current(), 100u);
  EXPECT_EQ(b_.phases.current(), 100u);
  EXPECT_EQ(a_.seal(0)[0], 0x10 + 100 % 4);
  // Of the lanes that sent nothing meanwhile, too.
  to_b(3, 0);
  to_a(3, 0);
}

TEST_F(KeyPhasesTest, NobodyStepsWithoutHavingHeardThePeer) {
  to_b(2 * kWanted);
  EXPECT_EQ(a_.phases.current(), 0u);
  EXPECT_EQ(a_.seal(), Bytes()) << "no more is sealed with keys that have had their share";
  EXPECT_NE(a_.seal(0), Bytes()) << "each lane has its own";
  to_a(1);
  to_b(1);
  EXPECT_EQ(a_.phases.current(), 1u);
  EXPECT_EQ(b_.phases.current(), 1u);
  // Not a second one: b has not been heard in this one.
  to_b(2 * kWanted - 1);
  EXPECT_EQ(a_.phases.current(), 1u);
}

TEST_F(KeyPhasesTest, ForgedBitsMoveNothing) {
  for (int round = 0; round < 6; ++round) {
    to_a(1);
    Bytes packet = a_.seal();
    for (std::uint8_t phase = 0; phase < 4; ++phase) {
      Bytes forged = packet;
      forged[0] = static_cast<std::uint8_t>(0x10 | phase);
      if (forged == packet) continue;
      EXPECT_NE(b_.open(forged), OpenFailure::kNone);
    }
    EXPECT_EQ(b_.phases.current(), static_cast<std::uint32_t>(round));
    EXPECT_EQ(b_.open(packet), OpenFailure::kNone);
    step();
  }
}

TEST_F(KeyPhasesTest, WhatComesTwoGenerationsLateIsOpenedAndThenNoMore) {
  std::vector<Bytes> late;
  for (int i = 0; i < 5; ++i) {
    late.push_back(a_.seal());
    step();
  }
  EXPECT_EQ(b_.open(late[4]), OpenFailure::kNone);
  EXPECT_EQ(b_.open(late[3]), OpenFailure::kNone);
  EXPECT_EQ(b_.open(late[3]), OpenFailure::kReplayed);
  // Its bits mean another generation by now.
  for (int i = 0; i < 3; ++i)
    EXPECT_NE(b_.open(late[static_cast<std::size_t>(i)]), OpenFailure::kNone);
}

TEST_F(KeyPhasesTest, TwoMinutesOfFramesAreEnough) {
  to_a(1);
  a_.phases.used(5 * kSecond);
  a_.phases.used(124 * kSecond);
  EXPECT_EQ(a_.phases.current(), 0u);
  a_.phases.used(125 * kSecond);
  EXPECT_EQ(a_.phases.current(), 1u);
  a_.phases.used(126 * kSecond);
  a_.phases.used(300 * kSecond);
  EXPECT_EQ(a_.phases.current(), 1u) << "the peer was not heard in this one";
  to_b(1);
  to_a(1);
  a_.phases.used(300 * kSecond);
  EXPECT_EQ(a_.phases.current(), 2u);
}

}  // namespace
}  // namespace wow
