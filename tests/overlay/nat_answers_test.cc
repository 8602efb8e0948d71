// Whom a member answers, from where, and whom it does not.
#include "overlay/nat_answers.h"

#include <gtest/gtest.h>

#include "tools/sim/fake_credentials.h"
#include "tools/sim/world.h"

namespace wow {
namespace {

using From = NatQuestion::From;

const Endpoint kAsker = *Endpoint::parse("198.51.100.21:5000");
const Endpoint kVictim = *Endpoint::parse("203.0.113.9:53");
const Endpoint kHelper = *Endpoint::parse("198.51.100.8:4433");

class NatAnswersTest : public testing::Test {
 protected:
  struct Said {
    std::string how;
    Endpoint to;
    Bytes packet;
  };
  NatAnswersTest() { answers_.set_other_port(20817); }

  void ask(const NatQuestion& question, const Endpoint& from = kAsker, bool at_other = false) {
    Bytes packet = seal_.seal(PacketType::kQuestion, question.write());
    asked_bytes_ = packet.size();
    answers_.on_packet(packet, from, at_other);
  }
  std::optional<NatAnswer> last() {
    if (said_.empty()) return std::nullopt;
    const auto text = seal_.open(PacketType::kQuestion, said_.back().packet);
    return text ? NatAnswer::parse(*text) : std::nullopt;
  }
  NatCookie cookie_for(const Endpoint& who) {
    ask({From::kHere, 1, {}}, who);
    const auto answer = last();
    said_.clear();
    return answer ? answer->cookie : NatCookie{};
  }

  World world_{1};
  SimHost& host_ = world_.add_host("198.51.100.7");
  FakeCredentials credentials_{1};
  SeededRandom random_{2};
  Metrics metrics_;
  MetricSlot& slot_ = metrics_.add_slot();
  std::vector<Said> said_;
  std::vector<std::pair<Address, Bytes>> errands_;
  std::size_t asked_bytes_ = 0;
  PoolSeal seal_{credentials_.pool_key(), random_};
  NatAnswers answers_{
      credentials_, host_.clock(), random_, slot_,
      NatAnswers::Handlers{.send =
                               [this](const Endpoint& to, ByteView p) {
                                 said_.push_back({"main", to, to_bytes(p)});
                               },
                           .send_other =
                               [this](const Endpoint& to, ByteView p) {
                                 said_.push_back({"other", to, to_bytes(p)});
                               },
                           .helper =
                               [](const Endpoint&) {
                                 return NatAnswers::Helper{FakeCredentials::address_of(2), kHelper};
                               },
                           .ask = [this](const Address& to,
                                         ByteView e) { errands_.emplace_back(to, to_bytes(e)); }}};
};

TEST_F(NatAnswersTest, TellsTheAskerWhereItIsSeenAndWhoElseMayBeAsked) {
  ask({From::kHere, 42, {}});
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0].how, "main");
  EXPECT_EQ(said_[0].to, kAsker);
  EXPECT_LE(said_[0].packet.size(), asked_bytes_) << "nothing is amplified";
  const auto answer = last();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->token, 42u);
  EXPECT_EQ(answer->seen, kAsker);
  EXPECT_EQ(answer->other_port, 20817);
  EXPECT_EQ(answer->other_member, kHelper);
}

TEST_F(NatAnswersTest, AtTheOtherPortItAnswersFromThere) {
  ask({From::kHere, 42, {}}, kAsker, true);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0].how, "other");
}

TEST_F(NatAnswersTest, FromElsewhereOnlyWithTheCookieOfThisEndpoint) {
  for (const From from : {From::kOtherPort, From::kOtherMember}) {
    ask({from, 1, {}}, kVictim);
    ask({from, 1, cookie_for(kAsker)}, kVictim);
  }
  EXPECT_TRUE(said_.empty());
  EXPECT_TRUE(errands_.empty());
  EXPECT_EQ(slot_.get(Metric::kDropAmplification), 4u);
}

TEST_F(NatAnswersTest, WithItTheOtherPortAnswers) {
  ask({From::kOtherPort, 1, cookie_for(kAsker)});
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0].how, "other");
  EXPECT_EQ(said_[0].to, kAsker);
}

TEST_F(NatAnswersTest, WithItAnotherMemberIsSentOnAnErrand) {
  ask({From::kOtherMember, 77, cookie_for(kAsker)});
  EXPECT_TRUE(said_.empty());
  ASSERT_EQ(errands_.size(), 1u);
  EXPECT_EQ(errands_[0].first, FakeCredentials::address_of(2));
  answers_.on_errand(FakeCredentials::address_of(3), errands_[0].second);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0].how, "main");
  EXPECT_EQ(said_[0].to, kAsker);
  EXPECT_EQ(last()->token, 77u);
}

TEST_F(NatAnswersTest, ACookieEnds) {
  const NatCookie cookie = cookie_for(kAsker);
  world_.run_for(RetryTokens::kPeriod * 2);
  ask({From::kOtherPort, 1, cookie});
  EXPECT_TRUE(said_.empty());
}

TEST_F(NatAnswersTest, ErrandsOfOneMemberAreLimited) {
  const Bytes errand = NatErrand{5, kVictim}.write();
  for (int i = 0; i < 100; ++i) answers_.on_errand(FakeCredentials::address_of(3), errand);
  EXPECT_LE(said_.size(), NatAnswers::kErrandsBurst);
  for (const Said& said : said_) {
    EXPECT_LE(said.packet.size(), errand.size() + DataHeader::kBytes + kAeadTagBytes);
  }
}

TEST_F(NatAnswersTest, FloodsStrangersAndNonsenseAreDropped) {
  for (int i = 0; i < 1000; ++i) ask({From::kHere, 1, {}});
  EXPECT_LE(said_.size(), static_cast<std::size_t>(NatAnswers::kQuestionsPerSecond));
  said_.clear();
  world_.run_for(2s);
  PoolSeal other(Bytes(32, 9), random_);
  Bytes packet = other.seal(PacketType::kQuestion, NatQuestion().write());
  answers_.on_packet(packet, kAsker, false);
  EXPECT_EQ(slot_.get(Metric::kDropStranger), 1u);
  packet = seal_.seal(PacketType::kQuestion, Bytes(50));
  answers_.on_packet(packet, kAsker, false);
  answers_.on_errand(FakeCredentials::address_of(3), Bytes(NatErrand::kBytes));
  EXPECT_EQ(slot_.get(Metric::kDropMalformed), 2u);
  EXPECT_TRUE(said_.empty());
}

}  // namespace
}  // namespace wow
