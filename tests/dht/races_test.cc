// Many small runs from seeds: racing creators, and a store under loss, partitions, restarts and
// changes of the group, checked against what holders and readers were told.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "tests/dht/fake_pool.h"

namespace wow {
namespace {

// WOW_SEEDS=FIRST-LAST replays or widens a test.
std::pair<std::uint64_t, std::uint64_t> seeds(std::uint64_t count) {
  const char* given = std::getenv("WOW_SEEDS");
  if (!given) return {1, count};
  char* end = nullptr;
  const auto first = std::strtoull(given, &end, 10);
  return {first, *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first};
}

DhtOptions founded_by_first() {
  DhtOptions options;
  options.founder = FakeCredentials::address_of(1);
  return options;
}

TEST(DhtRaces, OfRacingCreatorsExactlyOneWinsAndTheOthersLearnWho) {
  const auto [first, last] = seeds(500);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    FakePool pool(seed, founded_by_first());
    const int count = 2 + static_cast<int>(pool.random.below(5));
    pool.add_all(count);
    // Some race while the group is still being founded or is growing.
    pool.run_for(Duration(static_cast<Duration::rep>(pool.random.below(4'000'000'000))));
    pool.loss = pool.random.unit() * 0.1;
    pool.duplicate = 0.05;
    pool.jitter = 1ms + Duration(static_cast<Duration::rep>(pool.random.below(200'000'000)));
    std::map<int, Result<DhtRecord>> answers;
    for (int i = 0; i < count; ++i) {
      pool.dht(i).create("k", view_of("v"), 1h, [&answers, i](Result<DhtRecord> answer) {
        answers.emplace(i, std::move(answer));
      });
    }
    pool.run_for(6s);
    pool.loss = 0;
    ASSERT_EQ(answers.size(), static_cast<std::size_t>(count)) << "seed " << seed;
    std::set<Address> winners;
    int unknown = 0;
    for (const auto& [node, answer] : answers) {
      if (answer) winners.insert(pool.address(node));
      unknown += !answer && answer.error().code == ErrorCode::kUnavailable;
    }
    const auto holder = pool.get(0, "k");
    ASSERT_TRUE(holder) << "seed " << seed << ": nobody holds it: " << holder.error().message;
    ASSERT_LE(winners.size(), 1u) << "seed " << seed;
    if (unknown == 0) {
      ASSERT_EQ(winners, std::set{holder->owner}) << "seed " << seed;
    }
    for (const auto& [node, answer] : answers) {
      if (answer || answer.error().code == ErrorCode::kUnavailable) continue;
      ASSERT_EQ(answer.error().code, ErrorCode::kAlreadyExists) << "seed " << seed;
      ASSERT_NE(answer.error().message.find(holder->owner.hex()), std::string::npos)
          << "seed " << seed;
    }
  }
}

// Nodes create, renew, read and remove a few keys while the network and the nodes fail.
class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : seed_(seed), pool_(seed, founded_by_first()) {
    pool_.options.group_change_after = 3s;
  }

  void run() {
    pool_.add_all(3 + static_cast<int>(pool_.random.below(6)));
    pool_.run_for(5s);
    pool_.loss = pool_.random.unit() * 0.2;
    pool_.duplicate = 0.05;
    pool_.jitter = 150ms;
    pool_.blocked = [this](int from, int to) { return side_.contains(from) != side_.contains(to); };
    const TimePoint end = pool_.now() + 90s;
    while (pool_.now() < end && !::testing::Test::HasFatalFailure()) {
      pool_.run_for(Duration(static_cast<Duration::rep>(pool_.random.below(150'000'000))));
      disturb();
      for (int i = 0; i < 2; ++i) act();
    }
    heal();
  }
  int acknowledged() const { return acknowledged_; }

 private:
  static constexpr Duration kTtl = 20s;
  struct Hold {
    int node;
    TimePoint from, until;  // acknowledged; by the holder's own count or its removal
  };

  int random_node() {
    return static_cast<int>(pool_.random.below(static_cast<std::uint64_t>(pool_.size())));
  }

  void disturb() {
    const double dice = pool_.random.unit();
    if (dice < 0.02) {
      const int node = random_node();
      if (pool_.is_up(node)) {
        // What has crashed does not use what it held.
        for (auto& [key, holds] : holds_) end_holds(node, key);
        pool_.crash(node);
      }
    } else if (dice < 0.06) {
      for (int i = 0; i < pool_.size(); ++i) {
        if (!pool_.is_up(i)) return pool_.restart(i);
      }
    } else if (dice < 0.08) {
      side_.clear();
      for (int i = 0; i < pool_.size(); ++i) {
        if (pool_.random.below(3) == 0) side_.insert(i);
      }
    } else if (dice < 0.12) {
      side_.clear();
    } else if (dice < 0.125 && pool_.size() < 10) {
      pool_.add();
    }
  }

  void end_holds(int node, const std::string& key) {
    for (auto& hold : holds_[key]) {
      if (hold.node == node) hold.until = std::min(hold.until, pool_.now());
    }
  }

  void act() {
    const int node = random_node();
    if (!pool_.is_up(node)) return;
    const std::string key = "k" + std::to_string(pool_.random.below(4));
    const TimePoint sent = pool_.now();
    const double dice = pool_.random.unit();
    if (dice < 0.45) {
      pool_.dht(node).create(key, view_of("v"), kTtl, [=, this](Result<DhtRecord> answer) {
        if (answer) hold(key, node, sent);
      });
    } else if (dice < 0.6) {
      pool_.dht(node).renew(key, kTtl, [=, this](Result<DhtRecord> answer) {
        if (answer) hold(key, node, sent);
      });
    } else if (dice < 0.7) {
      remove(key, node);
    } else {
      const auto holder = holder_at(key, sent);
      pool_.dht(node).get(key, [=, this](Result<DhtRecord> answer) { check(key, holder, answer); });
    }
  }

  // From here on it may be anybody's, until long after the removal can have any effect.
  void remove(const std::string& key, int node) {
    end_holds(node, key);
    doubtful_[{key, node}] = pool_.now() + 2 * kDhtOperationLimit;
    pool_.dht(node).remove(key, [](Result<DhtRecord>) {});
  }

  void hold(const std::string& key, int node, TimePoint sent) {
    ++acknowledged_;
    if (sent <= doubtful_[{key, node}]) return;
    const Hold fresh{node, pool_.now(), sent + kTtl};
    for (const auto& other : holds_[key]) {
      if (other.node == node) continue;
      EXPECT_FALSE(other.from < fresh.until && fresh.from < other.until)
          << "seed " << seed_ << ": " << key << " held by " << other.node << " and " << node;
    }
    holds_[key].push_back(fresh);
  }

  std::optional<Hold> holder_at(const std::string& key, TimePoint at) {
    for (const auto& hold : holds_[key]) {
      if (hold.from < at && at < hold.until) return hold;
    }
    return std::nullopt;
  }

  // Whoever held the key from before the read until after it must have been read.
  void check(const std::string& key, const std::optional<Hold>& before,
             const Result<DhtRecord>& answer) {
    if (!before || (!answer && answer.error().code == ErrorCode::kUnavailable)) return;
    const auto after = holder_at(key, pool_.now());
    if (!after || after->node != before->node) return;
    ++reads_;
    ASSERT_TRUE(answer) << "seed " << seed_ << ": " << key << " is held but was not found";
    ASSERT_EQ(answer->owner, pool_.address(before->node)) << "seed " << seed_;
  }

  // When everything works again, so does the store.
  void heal() {
    pool_.loss = 0;
    side_.clear();
    for (int i = 0; i < pool_.size(); ++i) {
      if (!pool_.is_up(i)) pool_.restart(i);
    }
    pool_.run_for(30s);
    for (int i = 0; i < pool_.size(); ++i) {
      const auto answer = pool_.create(i, "own" + std::to_string(i), "v");
      ASSERT_TRUE(answer) << "seed " << seed_ << ": " << answer.error().message;
    }
    for (int key = 0; key < 4; ++key) {
      const auto answer = pool_.get(0, "k" + std::to_string(key));
      ASSERT_TRUE(answer || answer.error().code == ErrorCode::kNotFound) << "seed " << seed_;
    }
  }

  std::uint64_t seed_;
  FakePool pool_;
  std::set<int> side_;
  std::map<std::string, std::vector<Hold>> holds_;
  std::map<std::pair<std::string, int>, TimePoint> doubtful_;
  int acknowledged_ = 0, reads_ = 0;
};

TEST(DhtRaces, NoTwoOwnersHoldAKeyWhateverFails) {
  const auto [first, last] = seeds(30);
  int acknowledged = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    Chaos chaos(seed);
    chaos.run();
    acknowledged += chaos.acknowledged();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "replay: WOW_SEEDS=" << seed;
  }
  EXPECT_GT(acknowledged, 10 * static_cast<int>(last - first)) << "the test tested something";
}

}  // namespace
}  // namespace wow
