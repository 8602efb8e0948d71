#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "tests/tunnel/identity/pool_world.h"

namespace wow {
namespace {

using State = KeyExchange::State;

struct KeyExchangeTest : testing::Test {
  Calendar calendar;
  PoolRoot root = make_pool();
  Invite invite = make_invite(root);
  std::unique_ptr<TlsCredentials> alice = make_credentials(make_member(invite), calendar);
  std::unique_ptr<TlsCredentials> bob = make_credentials(make_member(invite), calendar);
};

TEST_F(KeyExchangeTest, TwoMembersLearnWhoTheOtherIs) {
  Handshake handshake(*alice, *bob, bob->address());
  ASSERT_TRUE(handshake.succeeded()) << handshake.why();
  EXPECT_EQ(handshake.initiator->peer().address, bob->address());
  EXPECT_EQ(handshake.responder->peer().address, alice->address());
  EXPECT_EQ(handshake.responder->peer().invite_id, to_bytes(invite.rights().invite_id()));
  EXPECT_NE(alice->address(), bob->address());
}

TEST_F(KeyExchangeTest, FlightsAlternateAndAreSmall) {
  Handshake handshake(*alice, *bob);
  std::printf("flights: %zu, %zu and %zu bytes\n", handshake.first.send.size(),
              handshake.second.send.size(), handshake.third.send.size());
  EXPECT_LE(handshake.first.send.size(), 250u);
  EXPECT_LE(handshake.second.send.size(), 1180u);
  EXPECT_LE(handshake.third.send.size(), 1180u);
  EXPECT_TRUE(handshake.end.send.empty());
}

TEST_F(KeyExchangeTest, TheResponderIsNotDoneBeforeTheInitiatorHasProvedItself) {
  Handshake handshake(*alice, *bob);
  EXPECT_EQ(handshake.first.state, State::kContinue);
  EXPECT_EQ(handshake.second.state, State::kContinue);
  EXPECT_EQ(handshake.third.state, State::kDone);
  EXPECT_EQ(handshake.end.state, State::kDone);
}

TEST_F(KeyExchangeTest, BothEndsExportTheSameKeysAndEachContextItsOwn) {
  Handshake handshake(*alice, *bob);
  ASSERT_TRUE(handshake.succeeded());
  const Bytes one = handshake.initiator->export_keys(view_of("one"), 88);
  EXPECT_EQ(one.size(), 88u);
  EXPECT_EQ(one, handshake.responder->export_keys(view_of("one"), 88));
  EXPECT_NE(one, handshake.responder->export_keys(view_of("two"), 88));
  EXPECT_NE(one, Handshake(*alice, *bob).initiator->export_keys(view_of("one"), 88));
}

TEST_F(KeyExchangeTest, AnotherMemberThanTheOneDialledIsRefused) {
  Handshake handshake(*alice, *bob, alice->address());
  EXPECT_EQ(handshake.third.state, State::kFailed);
  EXPECT_NE(handshake.why().find("but node " + bob->address().short_hex() + " answered"),
            std::string::npos)
      << handshake.why();
  EXPECT_TRUE(handshake.third.send.empty());
}

TEST_F(KeyExchangeTest, AMemberOfAnotherPoolIsRefusedByEitherSide) {
  PoolRoot other = make_pool();  // of the same name
  const auto mallory = make_credentials(make_member(make_invite(other)), calendar);
  EXPECT_EQ(Handshake(*alice, *mallory).third.state, State::kFailed);

  Handshake handshake(*mallory, *alice);
  EXPECT_FALSE(handshake.succeeded());
  EXPECT_NE(handshake.why().find("does not lead to this pool's root"), std::string::npos)
      << handshake.why();
}

// One that does not check whom it meets, and so gets as far as showing its own certificate.
TEST_F(KeyExchangeTest, AnInitiatorOfAnotherPoolFailsAtItsLastFlight) {
  PoolRoot other = make_pool();
  const Membership stranger = make_member(make_invite(other));
  const TlsContext context = make_tls_context(stranger.key, stranger.chain);
  TlsKeyExchange careless(context, TlsKeyExchange::Role::kInitiator,
                          [](ByteView) -> Result<PeerIdentity> { return PeerIdentity{}; });
  const auto responder = bob->answer();
  const auto second = responder->on_flight(careless.start().send);
  const auto third = careless.on_flight(second.send);
  ASSERT_EQ(third.state, State::kDone);
  EXPECT_EQ(responder->on_flight(third.send).state, State::kFailed);
}

TEST_F(KeyExchangeTest, NoFlightMayBeCutPaddedOrChanged) {
  const auto responder_takes = [&](Bytes flight) {
    return bob->answer()->on_flight(flight).state == State::kContinue;
  };
  const Bytes first = alice->initiate({})->start().send;
  ASSERT_TRUE(responder_takes(first));
  EXPECT_FALSE(responder_takes({}));
  EXPECT_FALSE(responder_takes(Bytes(first.begin(), first.end() - 1)));
  EXPECT_FALSE(responder_takes(concat({first, first})));
  EXPECT_FALSE(responder_takes(concat({first, Bytes{0x17}})));
  EXPECT_FALSE(responder_takes(Bytes(kFlightBytesMax + 1, 0x16)));

  for (std::size_t at = 0; at < 800; at += 7) {
    const auto initiator = alice->initiate({});
    Bytes second = bob->answer()->on_flight(initiator->start().send).send;
    second[at % second.size()] ^= 0x20;
    EXPECT_EQ(initiator->on_flight(second).state, State::kFailed) << "byte " << at;
  }
}

TEST_F(KeyExchangeTest, TheProofOfTheInitiatorMayNotBeChanged) {
  for (std::size_t at = 0; at < 700; at += 7) {
    const auto initiator = alice->initiate({}), responder = bob->answer();
    Bytes third = initiator->on_flight(responder->on_flight(initiator->start().send).send).send;
    third[at] ^= 0x20;
    EXPECT_EQ(responder->on_flight(third).state, State::kFailed) << "byte " << at;
  }
}

TEST_F(KeyExchangeTest, AFlightOutOfOrderEndsTheExchange) {
  Handshake handshake(*alice, *bob);
  EXPECT_EQ(bob->answer()->on_flight(handshake.third.send).state, State::kFailed);
  const auto initiator = alice->initiate({});
  const Bytes first = initiator->start().send;
  EXPECT_EQ(initiator->on_flight(first).state, State::kFailed) << "its own, reflected";
  const auto responder = bob->answer();
  responder->on_flight(first);
  EXPECT_EQ(responder->on_flight(first).state, State::kFailed) << "the first, again";
}

TEST_F(KeyExchangeTest, NothingFollowsTheEnd) {
  Handshake handshake(*alice, *bob);
  EXPECT_EQ(handshake.responder->on_flight(handshake.third.send).state, State::kFailed);
  EXPECT_EQ(handshake.responder->on_flight(handshake.third.send).state, State::kFailed);
}

// What both of two clones would draw next, were it not for this.
TEST_F(KeyExchangeTest, RandomnessThatACloneHasIsNotUsedOn) {
  const auto reseeds = [](EVP_RAND_CTX* generator) {
    unsigned count = 0;
    OSSL_PARAM wanted[] = {OSSL_PARAM_uint(OSSL_DRBG_PARAM_RESEED_COUNTER, &count),
                           OSSL_PARAM_construct_end()};
    EXPECT_EQ(EVP_RAND_CTX_get_params(generator, wanted), 1);
    return count;
  };
  // Keys of exchanges come from the one, nonces from the other; they follow the first of all with
  // the next that they give.
  const Handshake before(*alice, *bob);
  const auto at_public = reseeds(RAND_get0_public(nullptr));
  const auto at_private = reseeds(RAND_get0_private(nullptr));
  begin_random_anew(Bytes(32, 7));
  const Handshake after(*alice, *bob);
  EXPECT_GT(reseeds(RAND_get0_public(nullptr)), at_public);
  EXPECT_GT(reseeds(RAND_get0_private(nullptr)), at_private);
}

}  // namespace
}  // namespace wow
