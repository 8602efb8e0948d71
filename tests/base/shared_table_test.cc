#include "base/shared_table.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "base/random.h"

namespace wow {
namespace {

struct Entry {
  std::uint64_t key = 0;
  std::uint64_t version = 0;
};

TEST(SharedTable, FindsWhatWasSetUntilItIsErased) {
  QuietPoints readers(0);
  SharedTable<Entry> table(readers);
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_EQ(table.find(0), nullptr) << "which is nobody's";
  table.set(1, {1, 1});
  table.set(2, {2, 1});
  table.set(1, {1, 2});
  ASSERT_NE(table.find(1), nullptr);
  EXPECT_EQ(table.find(1)->version, 2u);
  EXPECT_EQ(table.size(), 2u);
  table.erase(1);
  table.erase(1);
  table.erase(77);
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_NE(table.find(2), nullptr);
  EXPECT_EQ(table.size(), 1u);
  table.set(1, {1, 3});
  EXPECT_EQ(table.find(1)->version, 3u);
}

// Few keys, so that they come and go again and again, and all that is done meets each other.
TEST(SharedTable, AgreesWithAMap) {
  QuietPoints readers(0);
  SharedTable<Entry> table(readers);
  std::map<std::uint64_t, std::uint64_t> expected;
  SeededRandom random(3);
  for (std::uint64_t i = 1; i <= 200000; ++i) {
    const std::uint64_t keys = i < 100000 ? 5000 : 50;
    const std::uint64_t key = 1 + random.below(keys) * (1u << 20);
    if (random.below(3) != 0) {
      table.set(key, {key, i});
      expected[key] = i;
    } else {
      table.erase(key);
      expected.erase(key);
    }
    const Entry* found = table.find(key);
    ASSERT_EQ(found != nullptr, expected.contains(key));
    ASSERT_EQ(table.size(), expected.size());
  }
  std::size_t seen = 0;
  table.for_each([&](std::uint64_t key, const Entry& entry) {
    ++seen;
    EXPECT_EQ(expected.at(key), entry.version);
    EXPECT_EQ(table.find(key), &entry);
  });
  EXPECT_EQ(seen, expected.size());
  EXPECT_FALSE(readers.has_retired());
}

// Whoever reads while the table is changed and grows sees for each key what it was or what it is.
TEST(SharedTable, ReadersSeeEveryKeyWhileOthersComeAndGo) {
  constexpr std::uint64_t kStay = 64, kRounds = 60;
  QuietPoints readers(2);
  SharedTable<Entry> table(readers);
  for (std::uint64_t key = 1; key <= kStay; ++key) table.set(key, {key, 0});
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  const auto read = [&](int reader) {
    std::array<std::uint64_t, kStay + 1> last{};
    while (!stop) {
      readers.awake(reader);
      for (std::uint64_t key = 1; key <= kStay; ++key) {
        const Entry* entry = table.find(key);
        if (entry == nullptr || entry->key != key || entry->version < last[key]) {
          ++wrong;
        } else {
          last[key] = entry->version;
        }
        if (const Entry* passing = table.find(1000 + key); passing && passing->key != 1000 + key)
          ++wrong;
      }
      readers.asleep(reader);
    }
  };
  std::thread first(read, 0), second(read, 1);
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    for (std::uint64_t key = 1001; key <= 1500; ++key) table.set(key, {key, round});
    for (std::uint64_t key = 1; key <= kStay; ++key) table.set(key, {key, round});
    for (std::uint64_t key = 1001; key <= 1500; ++key) table.erase(key);
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(table.size(), kStay);
}

}  // namespace
}  // namespace wow
