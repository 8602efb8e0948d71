// Histories that one register can have made, and others that it cannot.
#include "tests/dht/linearizability.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace wow {
namespace {

using Kind = Operation::Kind;
using Outcome = Operation::Outcome;
using History = std::vector<Operation>;

constexpr Duration kLifetime = 100s;

// From second `called` to second `returned`; 0: no answer.
Operation make(Kind kind, Outcome outcome, int client, int called, int returned) {
  Operation out{.kind = kind, .outcome = outcome, .client = client, .lifetime = kLifetime};
  out.called = TimePoint(called * 1s);
  out.returned = returned == 0 ? TimePoint::max() : TimePoint(returned * 1s);
  return out;
}
Operation won(int client, int called, int returned, std::uint64_t data) {
  auto out = make(Kind::kWrite, Outcome::kDone, client, called, returned);
  out.data = data;
  return out;
}
Operation maybe_won(int client, int called, std::uint64_t data) {
  auto out = make(Kind::kWrite, Outcome::kUnknown, client, called, 0);
  out.data = data;
  return out;
}
Operation lost(int client, int called, int returned, int holder) {
  auto out = make(Kind::kWrite, Outcome::kHeld, client, called, returned);
  out.holder = holder;
  return out;
}
Operation read(int called, int returned, int holder, std::uint64_t data) {
  auto out = make(Kind::kRead, Outcome::kDone, 9, called, returned);
  out.holder = holder;
  out.data = data;
  return out;
}
Operation read_free(int called, int returned) {
  return make(Kind::kRead, Outcome::kFree, 9, called, returned);
}
Operation removed(int client, int called, int returned) {
  return make(Kind::kRemove, Outcome::kDone, client, called, returned);
}
Operation renewed(int client, int called, int returned) {
  return make(Kind::kRenew, Outcome::kDone, client, called, returned);
}

TEST(Linearizability, OneOfTwoRacingCreatorsWins) {
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 3, 11), lost(2, 0, 3, 1)}));
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 3, 11), won(2, 0, 3, 21)})) << "two winners";
  EXPECT_FALSE(is_linearizable(History{lost(1, 0, 3, 2), lost(2, 0, 3, 1)})) << "and none";
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 3, 11), lost(2, 0, 3, 3)})) << "to a third";
  EXPECT_FALSE(is_linearizable(History{lost(2, 0, 1, 1), won(1, 2, 3, 11)})) << "before it was";
}

TEST(Linearizability, ReadsSeeTheLatestWrite) {
  const History both{won(1, 0, 1, 11), won(1, 2, 5, 12)};
  const auto with = [&](std::initializer_list<Operation> reads) {
    History out = both;
    out.insert(out.end(), reads);
    return is_linearizable(out);
  };
  EXPECT_TRUE(with({read(3, 4, 1, 11), read(3, 4, 1, 12)})) << "at the same time, either";
  EXPECT_FALSE(with({read(3, 4, 1, 12), read(5, 6, 1, 11)})) << "nobody goes back";
  EXPECT_FALSE(with({read(6, 7, 1, 11)})) << "overwritten before";
  EXPECT_FALSE(with({read(6, 7, 2, 12)})) << "of another holder";
  EXPECT_FALSE(with({read_free(6, 7)}));
  EXPECT_FALSE(is_linearizable(History{read(0, 1, 1, 11), won(1, 2, 3, 11)})) << "not yet written";
  EXPECT_TRUE(is_linearizable(History{read_free(0, 1)}));
}

TEST(Linearizability, AnUnknownOutcomeMayBeEitherAtAnyLaterTime) {
  EXPECT_TRUE(
      is_linearizable(History{maybe_won(1, 0, 11), read_free(10, 11), read(20, 21, 1, 11)}));
  EXPECT_TRUE(is_linearizable(History{maybe_won(1, 0, 11), won(2, 10, 11, 21)}));
  EXPECT_TRUE(is_linearizable(History{maybe_won(1, 0, 11), lost(2, 10, 11, 1)}));
  EXPECT_FALSE(is_linearizable(History{maybe_won(1, 0, 11), lost(2, 10, 11, 1), read_free(12, 13)}))
      << "once it was seen it stays";
  EXPECT_FALSE(is_linearizable(History{maybe_won(1, 5, 11), read(1, 2, 1, 11)})) << "not earlier";
  auto remove = removed(1, 5, 0);
  remove.outcome = Outcome::kUnknown;
  EXPECT_TRUE(
      is_linearizable(History{won(1, 0, 1, 11), remove, lost(2, 8, 9, 1), won(2, 10, 11, 21)}));
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 1, 11), won(2, 3, 4, 21), remove}));
  remove.returned = TimePoint(6s);
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), remove, won(2, 10, 11, 21)}));
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), remove, lost(2, 10, 11, 1)}));
  EXPECT_FALSE(
      is_linearizable(History{won(1, 0, 1, 11), remove, lost(2, 8, 9, 1), won(2, 10, 11, 21)}))
      << "not so late";
}

TEST(Linearizability, AKeyIsFreeAfterItsRemovalOrItsLifetime) {
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), removed(1, 2, 3), won(2, 4, 5, 21)}));
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 1, 11), removed(2, 2, 3)})) << "not its owner";
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 1, 11), won(2, 98, 99, 21)})) << "too early";
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), won(2, 98, 101, 21)}));
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), lost(2, 200, 201, 1)}))
      << "may last longer";
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 1, 11), renewed(1, 50, 51), won(2, 120, 121, 21)}))
      << "it was renewed";
  EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), renewed(1, 50, 51), won(2, 150, 151, 21)}));
  EXPECT_FALSE(is_linearizable(History{renewed(1, 0, 1)}));
  // The latest time to live counts, also a shorter one, and one of which nobody knows.
  for (const auto kind : {Kind::kRenew, Kind::kWrite}) {
    for (const auto outcome : {Outcome::kDone, Outcome::kUnknown}) {
      auto shorter = make(kind, outcome, 1, 2, outcome == Outcome::kDone ? 3 : 0);
      shorter.lifetime = 10s;
      EXPECT_TRUE(is_linearizable(History{won(1, 0, 1, 11), shorter, won(2, 13, 14, 21)}));
      EXPECT_FALSE(is_linearizable(History{won(1, 0, 1, 11), shorter, won(2, 10, 11, 21)}));
    }
  }
  // Free at 100 at the earliest, so what returned before cannot come after.
  EXPECT_FALSE(is_linearizable(History{won(1, 0, 1, 11), won(2, 90, 110, 21), lost(3, 90, 95, 2)}));
}

// The register itself, with operations in flight at the same time: its histories must pass, and
// with one answer turned into a lie, mostly not.
TEST(Linearizability, HistoriesOfARealRegisterPassAndLiesAreFound) {
  SeededRandom random(1);
  int found = 0, lies = 0;
  for (int run = 0; run < 300; ++run) {
    History history;
    int holder = -1;
    std::uint64_t data = 0;
    for (int i = 0; i < 30; ++i) {
      const TimePoint effect(i * 1s);
      const int client = static_cast<int>(random.below(4));
      Operation next =
          make(random.below(3) == 0 ? Kind::kWrite : Kind::kRead, Outcome::kDone, client, 0, 0);
      next.called = effect - Duration(static_cast<Duration::rep>(random.unit() * 3e9));
      next.returned = effect + Duration(static_cast<Duration::rep>(random.unit() * 3e9));
      if (random.below(6) == 0) next.kind = Kind::kRemove;
      const bool held = holder >= 0, ours = holder == client;
      if (next.kind == Kind::kRead ? !held : next.kind == Kind::kRemove && !held) {
        next.outcome = Outcome::kFree;
      } else if (next.kind == Kind::kRead) {
        next.holder = holder, next.data = data;
      } else if (held && !ours) {
        next.outcome = Outcome::kHeld, next.holder = holder;
      } else if (next.kind == Kind::kWrite) {
        holder = client, data = next.data = static_cast<std::uint64_t>(i) + 1;
      } else {
        holder = -1;
      }
      if (next.kind != Kind::kRead && random.below(8) == 0) {
        next.outcome = Outcome::kUnknown, next.holder = -1, next.returned = TimePoint::max();
      }
      history.push_back(next);
    }
    ASSERT_TRUE(is_linearizable(history)) << "run " << run;
    for (auto& operation : history) {
      if (operation.kind != Kind::kRead || operation.outcome != Outcome::kDone) continue;
      operation.holder = (operation.holder + 1) % 4;
      ++lies;
      found += !is_linearizable(history);
      break;
    }
  }
  EXPECT_GT(lies, 200);
  EXPECT_GT(found, lies * 9 / 10);
}

TEST(Linearizability, ManyUnknownOutcomesAreSearchedQuickly) {
  History history;
  for (int i = 0; i < 30; ++i) history.push_back(maybe_won(i, 0, static_cast<std::uint64_t>(i)));
  for (int i = 0; i < 16; ++i) history.push_back(lost(40 + i, 1, 2, 7));
  EXPECT_TRUE(is_linearizable(history));
  history.push_back(lost(60, 3, 4, 8));
  EXPECT_FALSE(is_linearizable(history));
}

}  // namespace
}  // namespace wow
