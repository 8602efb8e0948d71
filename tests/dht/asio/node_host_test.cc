// What a node stands on: its folder, its lock, its port, and what it remembers of last time.
#include "dht/asio/node_host.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/asio/files.h"
#include "dht/asio/build_date.h"
#include "tunnel/identity/member.h"
#include "tunnel/identity/pool.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

Invite make_invite(PoolRoot& pool) {
  InviteOptions options;
  options.label = "cluster";
  return std::move(Invite::create(pool, options).value());
}

class NodeHostTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root_); }
  // A folder with a new membership of the pool.
  fs::path join_as(const std::string& name) {
    const auto member = wow::join(invite_, build_date(), build_date());
    const fs::path folder = root_ / name;
    fs::create_directories(folder);
    const SecretText text = member->to_text();
    EXPECT_TRUE(write_file(folder / kMemberFile, view_of(text)));
    return folder;
  }
  Result<std::unique_ptr<NodeHost>> open(const fs::path& folder,
                                         std::optional<std::uint16_t> listen = {},
                                         int workers = 0) {
    NodeHostOptions options;
    options.directory = folder;
    options.listen = listen;
    options.workers = workers;
    return NodeHost::open(io_.get_executor(), options);
  }
  static bool has(const Error& error, const std::string& part) {
    return error.message.find(part) != std::string::npos;
  }

  const fs::path root_ = fs::path(testing::TempDir()) / "wow-node-host";
  PoolRoot pool_ =
      PoolRoot::create({.name = "lab", .subnet = "10.128.0.0/16"}, build_date()).value();
  Invite invite_ = make_invite(pool_);
  boost::asio::io_context io_{1};
};

TEST_F(NodeHostTest, WithoutAMembershipTheWayToOneIsNamed) {
  const auto host = open(root_ / "nowhere");
  ASSERT_FALSE(host);
  EXPECT_EQ(host.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(has(host.error(), "make one with `wow join INVITE`"));
}

TEST_F(NodeHostTest, ADamagedMembershipIsNamedWithItsFile) {
  const fs::path folder = join_as("a");
  ASSERT_TRUE(write_file(folder / kMemberFile, view_of("-----BEGIN NOTHING-----")));
  const auto host = open(folder);
  ASSERT_FALSE(host);
  EXPECT_TRUE(has(host.error(), (folder / kMemberFile).string() + ": the member file"));
}

TEST_F(NodeHostTest, OneFolderIsForOneProcess) {
  const fs::path folder = join_as("a");
  auto first = open(folder);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = open(folder);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(has(second.error(), "another daemon runs for pool lab"));
  first->reset();
  EXPECT_TRUE(open(folder)) << "free again";
}

TEST_F(NodeHostTest, APortIsNotSharedWithAnotherDaemonWhateverTheirWorkers) {
  const fs::path a = join_as("a"), b = join_as("b");
  for (const int workers : {0, 1, 3}) {
    const auto first = open(a, {}, workers);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_NE((*first)->port(), 0);
    for (int i = 0; i < workers; ++i) EXPECT_EQ((*first)->socket(i).port(), (*first)->port());
    for (const int others : {0, 1, 3}) {
      const auto second = open(b, (*first)->port(), others);
      ASSERT_FALSE(second) << workers << " and " << others << " workers";
      EXPECT_TRUE(has(second.error(), "is in use"));
    }
  }
}

TEST_F(NodeHostTest, ThePortUsedBeforeIsTakenAgainIfItIsFree) {
  const fs::path a = join_as("a"), b = join_as("b");
  std::uint16_t port = 0;
  {
    const auto host = open(a);
    port = (*host)->port();
    (*host)->start();
    (*host)->stop();
  }
  EXPECT_EQ((*open(a))->port(), port);
  const auto other = open(b, port);
  ASSERT_TRUE(other);
  const auto moved = open(a);
  ASSERT_TRUE(moved) << "a port that was merely used before is no promise";
  EXPECT_NE((*moved)->port(), port);
}

TEST_F(NodeHostTest, AStateFileOfAnyShapeIsNoObstacle) {
  const fs::path folder = join_as("a");
  for (const std::string text :
       {"", "{", "[]", "7", "{\"port\":\"x\",\"members\":7}", "{\"port\":70000}", "{\"port\":-1}",
        "{\"members\":[7,{},{\"address\":\"zz\",\"endpoints\":[]},{\"address\":7}]}"}) {
    ASSERT_TRUE(write_file(folder / kStateFile, view_of(text)));
    const auto host = open(folder);
    EXPECT_TRUE(host) << text;
  }
}

TEST_F(NodeHostTest, NewerSettingsAreAdoptedAndSurviveARestart) {
  const fs::path folder = join_as("a");
  ASSERT_TRUE(pool_.set_mtu(1300, build_date()));
  {
    const auto host = open(folder);
    EXPECT_EQ((*host)->settings().mtu(), 1380u);
    int told = 0;
    (*host)->set_settings_observer([&] { ++told; });
    ASSERT_TRUE((*host)->adopt(pool_.signed_settings()));
    // The news leaves first.
    while (told == 0 && io_.run_one_for(std::chrono::seconds(5)) > 0) {
    }
    EXPECT_EQ(told, 1);
    EXPECT_EQ((*host)->settings().mtu(), 1300u);
    const auto again = (*host)->adopt(pool_.signed_settings());
    ASSERT_FALSE(again);
    EXPECT_TRUE(has(again.error(), "not newer than number 2"));
    EXPECT_FALSE((*host)->adopt(view_of("rubbish")));
  }
  EXPECT_EQ((*open(folder))->settings().mtu(), 1300u);
}

TEST_F(NodeHostTest, OfANewGenerationEachSessionGetsNewKeys) {
  NodeHostOptions options;
  options.allow_loopback = true;
  options.directory = join_as("a");
  const auto first = NodeHost::open(io_.get_executor(), options);
  ASSERT_TRUE(first) << first.error().message;
  options.directory = join_as("b");
  options.bootstraps = {"127.0.0.1:" + std::to_string((*first)->port())};
  const auto second = NodeHost::open(io_.get_executor(), options);
  ASSERT_TRUE(second) << second.error().message;
  (*first)->start();
  (*second)->start();
  const auto until = [this](const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done() && std::chrono::steady_clock::now() < limit)
      io_.run_one_for(std::chrono::seconds(1));
    return done();
  };
  const auto keys = [](NodeHost& of, NodeHost& with) {
    const Session* session = of.node().sessions().find(with.node().address());
    return session == nullptr ? nullptr : session->keys();
  };
  ASSERT_TRUE(until([&] { return keys(**first, **second) && keys(**second, **first); }));
  const auto before = keys(**second, **first);
  const auto before_there = keys(**first, **second);
  (*second)->on_network_change();
  EXPECT_EQ(keys(**second, **first), before) << "who moves keeps them";
  (*second)->on_new_generation();
  EXPECT_TRUE(until([&] {
    return keys(**second, **first) != before && keys(**first, **second) != before_there;
  }));
  (*second)->stop();
  (*first)->stop();
}

}  // namespace
}  // namespace wow
