// What a path carries is found out where frames go, and nowhere else.
#include <gtest/gtest.h>

#include "tests/tunnel/session_harness.h"
#include "tunnel/path_mtu.h"

namespace wow {
namespace {

constexpr std::size_t kFrame = 1394, kWanted = kFrame + kDataOverheadBytes;

class SessionMtu : public testing::Test {
 protected:
  SessionMtu() {
    SessionLimits limits;
    limits.datagram_wanted = kWanted;
    a_ = &net_.add({}, limits);
    b_ = &net_.add();
  }

  void open(std::size_t carries) {
    carry(carries);
    a_->dial(*b_);
    net_.run_for(1s);
    ASSERT_TRUE(a_->is_direct(*b_));
  }
  void carry(std::size_t bytes) {
    Link link{20ms};
    link.payload_max = bytes;
    link.drops_fragments = true;
    net_.world.set_link(link);
  }
  // A small frame every 20 ms.
  void talk_for(Duration span) {
    const Bytes frame(100);
    for (Duration t{}; t < span; t += 20ms) {
      a_->sessions().send(b_->address(), DataKind::kFrame, frame);
      net_.run_for(20ms);
    }
  }
  std::size_t found() { return a_->session(*b_)->datagram_max(); }

  Net net_;
  Party* a_ = nullptr;
  Party* b_ = nullptr;
};

TEST_F(SessionMtu, IsNotAskedWithoutFrames) {
  open(1472);
  ASSERT_TRUE(a_->say(*b_, "a message"));
  net_.run_for(5s);
  EXPECT_EQ(found(), 0u);
  EXPECT_EQ(net_.world.drops().too_big, 0u);
}

TEST_F(SessionMtu, IsFoundWithinTwoSecondsOfTheFirstFrame) {
  open(1252);
  EXPECT_EQ(found(), 0u);
  const int changes = a_->path_changes;
  talk_for(2s);
  EXPECT_LE(found(), 1252u);
  EXPECT_GT(found() + PathMtu::kGranule, 1252u);
  EXPECT_GT(a_->path_changes, changes) << "who keeps tables is told";
  EXPECT_TRUE(a_->is_direct(*b_)) << "a padded check that is lost says nothing of the path";
}

TEST_F(SessionMtu, ABlackHoleIsFoundWithinTwoSecondsAndOtherTrafficGoesOn) {
  open(1472);
  talk_for(3s);
  EXPECT_EQ(found(), kWanted);
  carry(1372);
  talk_for(2s);
  EXPECT_EQ(found(), 1372u);
  EXPECT_TRUE(a_->is_direct(*b_));
}

TEST_F(SessionMtu, CostsNothingWhenFramesEnd) {
  open(1472);
  talk_for(1s);
  net_.run_for(5s);
  const auto bytes = a_->bytes_sent;
  net_.run_for(20s);
  EXPECT_LT(a_->bytes_sent - bytes, kWanted);
}

TEST_F(SessionMtu, ANewPathIsAskedAnew) {
  open(1252);
  talk_for(3s);
  EXPECT_LE(found(), 1252u);
  carry(1472);
  net_.world.move(b_->host, "198.51.100.77");
  b_->sessions().suspect_direct_paths();
  talk_for(3s);
  EXPECT_EQ(found(), kWanted);
}

}  // namespace
}  // namespace wow
