#include "dht/key_range.h"

#include <gtest/gtest.h>

#include "dht/replica.h"

namespace wow::dht {
namespace {

Register written(std::uint64_t round, const std::string& value) {
  Register out;
  out.accepted = {1, {round, Address::from_bytes(view_of(std::string(20, 'a')))}};
  out.record.set_value(value);
  return out;
}

Registers many(int count) {
  Registers out;
  for (int i = 0; i < count; ++i) out[std::to_string(1000 + i)] = written(1, "v");
  return out;
}

std::vector<std::string> digests(const Registers& registers) {
  std::vector<std::string> out;
  for (const KeyRange& range : ranges_after(registers, "")) out.push_back(range.digest);
  return out;
}

TEST(KeyRange, CoversAllThatIsAcceptedInOrder) {
  Registers registers = many(38);
  registers["1000a"] = {};  // a promise
  const auto ranges = ranges_after(registers, "");
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(ranges[0].until, "1015");
  EXPECT_EQ(ranges[1].until, "1031");
  EXPECT_EQ(ranges[2].until, "1037");
  EXPECT_EQ(ranges_after(registers, "1015").front().until, "1031");
  EXPECT_EQ(ranges_after(registers, "1015").front().digest, ranges[1].digest);
  EXPECT_TRUE(ranges_after(registers, "1037").empty());
  EXPECT_TRUE(ranges_after({}, "").empty());
  EXPECT_EQ(ranges_after(many(6000), "").size(), KeyRange::kAtOnceMax);
}

TEST(KeyRange, DiffersWithEachPartOfARegister) {
  const auto before = digests(many(38));
  const auto differs = [&](const std::function<void(Registers&)>& change) {
    Registers registers = many(38);
    change(registers);
    return digests(registers)[1] != before[1];
  };
  EXPECT_FALSE(differs([](Registers&) {}));
  EXPECT_FALSE(differs([](Registers& all) { all["1020"].since += std::chrono::seconds(1); }));
  EXPECT_FALSE(differs([](Registers& all) { all["1020"].promised.round = 7; }));
  EXPECT_TRUE(differs([](Registers& all) { all["1020"] = written(2, "v"); }));
  EXPECT_TRUE(differs([](Registers& all) { all["1020"] = written(1, "w"); }));
  EXPECT_TRUE(differs([](Registers& all) { all["1020"].accepted.epoch = 2; }));
  EXPECT_TRUE(differs([](Registers& all) { all["1020"].record.set_signature("s"); }));
  EXPECT_TRUE(differs([](Registers& all) { all["1020"].floors.push_back({Address(), 1}); }));
  EXPECT_TRUE(differs([](Registers& all) { all["1020a"] = written(1, "v"); }));
  EXPECT_TRUE(differs([](Registers& all) { all.erase("1020"); }));
}

// Who asks about everything at once does not make us hash all that we have.
TEST(KeyRange, IsBounded) {
  EXPECT_TRUE(digest_of(many(32), "", "2"));
  EXPECT_FALSE(digest_of(many(33), "", "2"));
}

}  // namespace
}  // namespace wow::dht
