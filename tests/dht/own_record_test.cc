// Two machines with one key: the second finds out, the first goes on.
#include "dht/own_record.h"

#include <gtest/gtest.h>

#include <map>

#include "proto/vnet.pb.h"
#include "tests/base/manual_clock.h"

namespace wow {
namespace {

const Address kSelf = *Address::parse(Bytes(20, 7));

class OwnRecordTest : public testing::Test {
 protected:
  struct Machine {
    Machine(OwnRecordTest& test, std::uint64_t seed)
        : random(seed),
          record(kSelf, {Bytes(16, 1), "node7", false}, test.clock_, random,
                 {.get =
                      [&test, this](auto&, auto done) {
                        test.later(cut, done, [&test] { return test.stored_; });
                      },
                  .put =
                      [&test, this](auto& key, ByteView data, Duration ttl, auto done) {
                        ++puts;
                        DhtRecord made{key, to_bytes(data), kSelf, ++test.version_, ttl, {}};
                        if (deaf) test.stored_ = made;
                        test.later(cut || deaf, done, [&test, made] {
                          test.stored_ = made;
                          return Result<DhtRecord>(made);
                        });
                      },
                  .unheard =
                      [&test, this] {
                        ++unheard;
                        if (!test.heard_) return;
                        std::exchange(test.heard_, this)->cut = true;
                        cut = false;
                      },
                  .copied = [this] { ++copied; },
                  .is_copy =
                      [this] {
                        ++is_copy;
                        record.stop();
                      }}) {}
    SeededRandom random;
    bool cut = false;
    bool deaf = false;  // what it puts is stored, but the answer goes to another
    int puts = 0, copied = 0, is_copy = 0, unheard = 0;
    OwnRecord record;
  };

  void later(bool cut, const Dht::Done& done, std::function<Result<DhtRecord>()> answer) {
    clock_.schedule(clock_.now() + (cut ? kDhtOperationLimit : 20ms), [=] {
      done(cut ? Result<DhtRecord>(Error{ErrorCode::kUnavailable, "no majority"}) : answer());
    });
  }
  pb::NodeRecord said() {
    pb::NodeRecord out;
    if (stored_) out.ParseFromArray(stored_->data.data(), static_cast<int>(stored_->data.size()));
    return out;
  }

  ManualClock clock_;
  Machine* heard_ = nullptr;  // by their peers, of two with one key
  std::uint64_t version_ = 0;
  Result<DhtRecord> stored_ = Error{ErrorCode::kNotFound, "nobody"};
};

TEST_F(OwnRecordTest, ItIsWrittenAtJoiningAndEachDay) {
  Machine a(*this, 1);
  a.record.keep();
  clock_.run_for(1s);
  EXPECT_EQ(said().name(), "node7");
  EXPECT_EQ(said().run().size(), 8u);
  EXPECT_EQ(a.puts, 1);
  a.record.keep();  // on the ring again
  clock_.run_for(23h);
  EXPECT_EQ(a.puts, 1);
  clock_.run_for(2h);
  EXPECT_EQ(a.puts, 2);
  // The store was begun anew.
  stored_ = Error{ErrorCode::kNotFound, "nobody"};
  a.record.keep();
  clock_.run_for(1s);
  EXPECT_EQ(a.puts, 3);
  EXPECT_EQ(a.copied + a.is_copy, 0);
}

TEST_F(OwnRecordTest, ACopyThatHearsNoAnswerReadsThatItIsOne) {
  Machine a(*this, 1), b(*this, 2);
  a.record.keep();
  clock_.run_for(1min);
  b.deaf = true;
  b.record.keep();
  clock_.run_for(1min);
  EXPECT_EQ(a.copied, 1);
  EXPECT_EQ(b.is_copy, 1);
  EXPECT_EQ(b.puts, 1);
}

// The store answers whom the peers heard last, and the other has failed questions only.
TEST_F(OwnRecordTest, TwoWhoseAnswersGoToTheOtherTakeTurns) {
  Machine a(*this, 1), b(*this, 2);
  a.record.keep();
  clock_.run_for(10min);
  heard_ = &b;
  a.cut = true;
  b.record.keep();
  for (int i = 0; i < 6; ++i) {
    a.record.unrest();
    b.record.unrest();
    clock_.run_for(OwnRecord::kLookSoon);
  }
  EXPECT_EQ(a.copied, 1);
  EXPECT_EQ(b.is_copy, 1);
  EXPECT_EQ(a.is_copy + b.copied, 0);
}

TEST_F(OwnRecordTest, AStoreThatIsGoneForLongIsNoReasonToRenewForEver) {
  Machine a(*this, 1);
  a.record.keep();
  clock_.run_for(10min);
  a.cut = true;
  clock_.run_for(1h);
  EXPECT_GE(a.unheard, 5);
  EXPECT_LE(a.unheard, 12);
}

TEST_F(OwnRecordTest, ACopyThatGetsNoPlaceOnTheRingFindsOutByItsSessions) {
  Machine a(*this, 1), b(*this, 2);
  a.record.keep();
  clock_.run_for(10min);
  b.record.unrest();
  clock_.run_for(OwnRecord::kRetry + OwnRecord::kLook + 2 * OwnRecord::kLookSoon);
  EXPECT_EQ(b.is_copy, 1);
  EXPECT_EQ(a.is_copy, 0);
}

TEST_F(OwnRecordTest, ADaemonThatWasStartedAgainIsNoCopy) {
  {
    Machine a(*this, 1);
    a.record.keep();
    clock_.run_for(5min);
    a.record.stop();
  }
  clock_.run_for(1s);
  Machine again(*this, 2);
  again.record.keep();
  clock_.run_for(10min);
  EXPECT_EQ(again.copied + again.is_copy, 0);
}

TEST_F(OwnRecordTest, TheSecondIsToldAndTheFirstGoesOn) {
  Machine a(*this, 1), b(*this, 2);
  a.record.keep();
  clock_.run_for(10min);
  b.record.keep();
  clock_.run_for(OwnRecord::kLook + 2 * OwnRecord::kLookSoon);
  EXPECT_EQ(b.is_copy, 1);
  EXPECT_EQ(a.copied, 1);
  EXPECT_EQ(a.is_copy + b.copied, 0);
  // Nothing more is said by it, and the first has the record.
  const int puts = b.puts;
  const std::string run = said().run();
  clock_.run_for(48h);
  EXPECT_EQ(b.puts, puts);
  EXPECT_EQ(said().run(), run);
  EXPECT_EQ(a.is_copy, 0);
  // A third likewise.
  Machine c(*this, 3);
  c.record.keep();
  clock_.run_for(OwnRecord::kLook + 2 * OwnRecord::kLookSoon);
  EXPECT_EQ(c.is_copy, 1);
  EXPECT_EQ(a.copied, 2);
}

TEST_F(OwnRecordTest, UnrestHurriesIt) {
  Machine a(*this, 1), b(*this, 2);
  a.record.keep();
  clock_.run_for(10min);
  b.record.keep();
  for (int i = 0; i < 4; ++i) {
    a.record.unrest();
    clock_.run_for(OwnRecord::kLookSoon);
  }
  EXPECT_EQ(b.is_copy, 1);
}

// The memory was copied with the disk: both are the same run until one has reason to doubt it.
TEST_F(OwnRecordTest, ACloneOfARunningMachineFindsOutOnceItLooksAnew) {
  Machine a(*this, 1), clone(*this, 1);
  a.record.keep();
  clone.record.keep();
  clock_.run_for(10min);
  EXPECT_EQ(a.copied + a.is_copy + clone.copied + clone.is_copy, 0);
  clone.record.begin_anew();
  clock_.run_for(OwnRecord::kLook + 2 * OwnRecord::kLookSoon);
  EXPECT_EQ(clone.is_copy, 1);
  EXPECT_EQ(a.is_copy, 0);
}

// The original is another run by then than that which was copied. With a generation ID the copy
// knows what it is.
TEST_F(OwnRecordTest, ACloneOfALongForgottenSnapshotIsTheSecond) {
  Machine a(*this, 1), clone(*this, 1);
  a.record.keep();
  clone.record.keep();
  clock_.run_for(1min);
  clone.cut = true;  // it is but a file
  a.record.begin_anew();
  clock_.run_for(10min);
  clone.cut = false;
  clone.random.u64();  // its numbers are others by now
  clone.record.was_copied();
  clock_.run_for(OwnRecord::kLook + 2 * OwnRecord::kLookSoon);
  EXPECT_EQ(clone.is_copy, 1);
  EXPECT_EQ(a.copied, 1);
  EXPECT_EQ(a.is_copy + clone.copied, 0);
}

// It was copied in the middle of a question, or of a write.
TEST_F(OwnRecordTest, ACloneThatWasAskingIsTheSecondToo) {
  for (const Duration when : {5ms, 25ms, 45ms}) {
    Machine a(*this, 1), clone(*this, 1);
    a.record.keep();
    clock_.run_for(1min);
    clone.record.keep();
    clock_.run_for(30ms);
    clone.record.begin_anew();
    clock_.run_for(when);
    clone.record.was_copied();
    clock_.run_for(OwnRecord::kLook + 2 * OwnRecord::kLookSoon);
    EXPECT_EQ(clone.is_copy, 1);
    EXPECT_EQ(a.is_copy + clone.copied, 0);
    a.record.stop();
  }
}

// Set back, and alone.
TEST_F(OwnRecordTest, WhoWasSetBackAloneKeepsItsKey) {
  Machine a(*this, 1);
  a.record.keep();
  clock_.run_for(10min);
  const std::string run = said().run();
  a.record.was_copied();
  clock_.run_for(10min);
  EXPECT_NE(said().run(), run);
  EXPECT_EQ(a.copied + a.is_copy, 0);
}

// It was suspended, moved or restored, and nobody else has begun with its key.
TEST_F(OwnRecordTest, WhoComesBackAloneKeepsItsKey) {
  Machine a(*this, 1);
  a.record.keep();
  clock_.run_for(10min);
  const std::string run = said().run();
  a.record.begin_anew();
  clock_.run_for(10min);
  EXPECT_NE(said().run(), run);
  EXPECT_EQ(a.copied + a.is_copy, 0);
}

// The first was cut off while the second began: it is still the first when it is back.
TEST_F(OwnRecordTest, WhoWasCutOffIsFirstAllTheSame) {
  Machine a(*this, 1), b(*this, 2);
  a.record.keep();
  clock_.run_for(10min);
  a.cut = true;
  clock_.run_for(1min);
  b.record.keep();
  clock_.run_for(10min);
  EXPECT_EQ(b.is_copy, 0);
  a.cut = false;
  a.record.begin_anew();  // its network has changed
  clock_.run_for(3 * OwnRecord::kLook);
  EXPECT_EQ(b.is_copy, 1);
  EXPECT_EQ(a.is_copy, 0);
}

}  // namespace
}  // namespace wow
