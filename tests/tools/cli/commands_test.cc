// Commands as they are typed, as far as they need no daemon: a pool is made, an invite handed on,
// a machine joins and leaves.
#include "tools/cli/commands.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <fstream>

#include "base/asio/files.h"

namespace wow {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_);
    setenv("WOW_ROOT", root_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("WOW_ROOT");
    fs::remove_all(root_);
  }

  // Types `wow WORDS`. Returns what it printed; the sentence of an error is in `said`.
  std::string wow(const std::vector<std::string>& words, std::string* said = nullptr) {
    CLI::App app("", "wow");
    app.require_subcommand(1);
    app.fallthrough();
    CommandContext context;
    app.add_option("-p,--pool", context.pool);
    add_pool_commands(app, context);
    add_member_commands(app, context);
    add_query_commands(app, context);
    add_image_commands(app, context);
    std::vector<std::string> line(words.rbegin(), words.rend());
    std::string error;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      app.parse(line);
    } catch (const std::exception& failed) {
      error = failed.what();
    }
    const std::string out = testing::internal::GetCapturedStdout();
    errors_ = testing::internal::GetCapturedStderr();
    if (said) {
      *said = error;
    } else {
      EXPECT_EQ(error, "");
    }
    return out;
  }
  std::string refused(const std::vector<std::string>& words) {
    std::string said;
    wow(words, &said);
    EXPECT_NE(said, "") << "was not refused";
    return said;
  }
  // `wow invite create lab MORE > invite`
  fs::path invite(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"invite", "create", "lab"};
    words.insert(words.end(), more.begin(), more.end());
    const fs::path file = root_ / "lab.invite";
    EXPECT_TRUE(write_file(file, view_of(wow(words))));
    return file;
  }
  void make_pool() { wow({"pool", "create", "lab", "--subnet", "10.128.0.0/16"}); }
  static unsigned mode_of(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 0777;
  }
  std::string config() const { return to_string(read_file(root_ / "etc/lab.conf").value()); }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  // Short: a socket's path has 107 bytes at most.
  const fs::path root_ = "/tmp/wow-commands-" + std::to_string(getpid());
  std::string errors_;
};

TEST_F(Commands, APoolIsMadeOnceAndItsRootIsSecret) {
  EXPECT_TRUE(has(wow({"pool", "create", "lab", "--subnet", "10.128.0.0/16"}), "back this up"));
  EXPECT_EQ(mode_of(root_ / "etc/lab.root"), 0600u);
  EXPECT_TRUE(has(refused({"pool", "create", "lab", "--subnet", "10.9.0.0/16"}),
                  "there is a pool lab already"));
  EXPECT_TRUE(has(wow({"pool", "show"}), "10.128.0.0/16"));
  const auto shown = json::parse(wow({"pool", "show", "lab", "--json"})).as_object();
  EXPECT_EQ(shown.at("pool"), "lab");
  EXPECT_EQ(shown.at("mtu"), 1380);
}

TEST_F(Commands, AnImpossiblePoolLeavesNothingBehind) {
  for (const std::string subnet : {"10.128.0.1/16", "10.128.0.0", "10.128.0.0/40", "fd00::/64", ""})
    refused({"pool", "create", "lab", "--subnet", subnet});
  refused({"pool", "create", "../lab", "--subnet", "10.128.0.0/16"});
  refused({"pool", "create", "lab", "--subnet", "10.128.0.0/16", "--mtu", "12"});
  EXPECT_FALSE(fs::exists(root_ / "etc/lab.root"));
}

TEST_F(Commands, WithoutTheRootNothingIsSigned) {
  EXPECT_TRUE(
      has(refused({"invite", "create", "lab"}), "the root key of pool lab is not on this machine"));
  EXPECT_TRUE(has(refused({"revoke", "-p", "lab", std::string(40, 'a')}), "root key"));
}

TEST_F(Commands, AnInviteIsExplainedWithoutItsKey) {
  make_pool();
  const fs::path file = invite({"--bootstrap", "198.51.100.7:4433", "--bootstrap",
                                "[2001:db8::7]:4433", "--label", "cluster", "--join-by", "12h"});
  EXPECT_TRUE(has(errors_, "Whoever has the file can join"));
  const std::string shown = wow({"invite", "show", file});
  EXPECT_TRUE(has(shown, "198.51.100.7:4433, [2001:db8::7]:4433"));
  EXPECT_TRUE(has(shown, "cluster"));
  EXPECT_TRUE(has(shown, "private key, which is not shown"));
  EXPECT_FALSE(has(shown, "BEGIN"));
  const auto facts = json::parse(wow({"invite", "show", "--json", file})).as_object();
  EXPECT_EQ(facts.at("bootstraps").as_array().size(), 2u);
  EXPECT_EQ(facts.at("closed"), false);
  EXPECT_TRUE(has(wow({"pool", "show"}), "cluster"));
}

TEST_F(Commands, AnInviteWithoutBootstrapsSaysWhatIsMissing) {
  make_pool();
  invite();
  EXPECT_TRUE(has(errors_, "It names no bootstrap"));
}

TEST_F(Commands, WhatCannotBeInAnInviteIsRefused) {
  make_pool();
  for (const std::string bootstrap : {"198.51.100.7", "198.51.100.7:0", "x"})
    EXPECT_TRUE(has(refused({"invite", "create", "lab", "--bootstrap", bootstrap}),
                    "--bootstrap takes ADDRESS:PORT"));
  for (const std::string date : {"soon", "90", "90days", "-3d", "0d", "2027-13-01", "2027-01-01x"})
    EXPECT_TRUE(
        has(refused({"invite", "create", "lab", "--join-by", date}), "--join-by takes 90d"));
  EXPECT_FALSE(has(wow({"pool", "show"}), "open")) << "none was recorded";
}

TEST_F(Commands, JoinByTakesDatesSpansAndNever) {
  make_pool();
  EXPECT_TRUE(
      has(wow({"invite", "show", invite({"--join-by", "2999-12-31"})}), "2999-12-31 00:00"));
  EXPECT_TRUE(has(wow({"invite", "show", invite({"--join-by", "never"})}), "no limit"));
  invite({"--join-by", "30m"});
}

TEST_F(Commands, AMachineJoinsAndLeaves) {
  make_pool();
  const fs::path file = invite({"--bootstrap", "198.51.100.7:4433"});
  EXPECT_EQ(wow({"join", file}), "");
  EXPECT_TRUE(has(errors_, "Joined pool lab as node "));
  EXPECT_TRUE(has(errors_, "Next: wow up lab"));
  const std::string node = errors_.substr(errors_.find("node ") + 5, 40);
  EXPECT_EQ(mode_of(root_ / "lib/lab"), 0700u);
  EXPECT_EQ(mode_of(root_ / "lib/lab/member"), 0600u);
  EXPECT_FALSE(fs::exists(root_ / "etc/lab.conf")) << "nothing was wished";

  wow({"join", file});
  EXPECT_TRUE(has(errors_, "Joined pool lab again, as node " + node));

  EXPECT_TRUE(has(wow({"leave", "lab"}), "has left pool lab"));
  EXPECT_FALSE(fs::exists(root_ / "lib/lab"));
  EXPECT_EQ(refused({"leave", "lab"}), "this machine is no member of pool lab");
}

TEST_F(Commands, WishesAreKeptForEachStart) {
  make_pool();
  const fs::path file = invite();
  wow({"join", file, "--name", "node7", "--ip", "10.128.0.9"});
  EXPECT_TRUE(has(config(), "name = \"node7\"\nip = \"10.128.0.9\"\n"));
  std::ofstream(root_ / "etc/lab.conf") << "names = \"off\"\nname=\"old\"\nworkers = 2";
  wow({"join", file, "--name", "node8"});
  EXPECT_EQ(config(), "names = \"off\"\nworkers = 2\nname = \"node8\"\n");
}

TEST_F(Commands, WishesThatCannotComeTrueAreRefusedBeforeJoining) {
  make_pool();
  const fs::path file = invite();
  EXPECT_TRUE(has(refused({"join", file, "--name", "Node_7"}), "cannot be a host name"));
  EXPECT_EQ(refused({"join", file, "--ip", "10.129.0.9"}),
            "--ip 10.129.0.9 is not inside the pool's subnet 10.128.0.0/16");
  EXPECT_FALSE(fs::exists(root_ / "lib/lab"));
}

TEST_F(Commands, AnInviteThatOthersCanReadIsNotUsed) {
  make_pool();
  const fs::path file = invite();
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  const std::string said = refused({"join", file});
  EXPECT_TRUE(has(said, "can be read by others"));
  EXPECT_TRUE(has(said, "`chmod 600 " + file.string() + "`"));
}

TEST_F(Commands, BadInvitesSayWhatIsWrong) {
  make_pool();
  const fs::path file = invite();
  const std::string whole = to_string(read_file(file).value());
  const auto with = [&](const std::string& text) {
    EXPECT_TRUE(write_file(file, view_of(text)));
    return refused({"join", file});
  };
  EXPECT_TRUE(has(with(""), "this is not an invite"));
  EXPECT_TRUE(has(with(whole.substr(0, whole.size() / 2)), "cut short"));
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  EXPECT_TRUE(has(with(flipped), "damaged"));
  EXPECT_TRUE(has(refused({"join", root_ / "absent"}), "absent"));
}

// `wow up --invite` at every boot of a machine whose invite was good for its first.
TEST_F(Commands, AMemberStaysOneWhenItsInviteHasExpired) {
  make_pool();
  wow({"join", invite({"--label", "good"})});
  const std::string member = to_string(read_file(root_ / "lib/lab/member").value());
  const fs::path expired = invite({"--join-by", "2001-01-01"});
  EXPECT_TRUE(has(refused({"join", expired}), "could be used until 2001-01-01"));
  const CommandContext context;
  EXPECT_EQ(join_pool(context, expired), "lab");
  EXPECT_EQ(to_string(read_file(root_ / "lib/lab/member").value()), member);

  wow({"leave", "lab"});
  EXPECT_THROW(join_pool(context, expired), CommandError) << "a newcomer needs a good one";
}

TEST_F(Commands, AnotherPoolOfTheSameNameIsRefusedEvenToAMember) {
  make_pool();
  wow({"join", invite()});
  fs::remove(root_ / "etc/lab.root");
  make_pool();
  EXPECT_THROW(join_pool(CommandContext(), invite()), CommandError);
}

TEST_F(Commands, TheInviteIsErasedIfAsked) {
  make_pool();
  const fs::path file = invite();
  wow({"join", file, "--erase-invite"});
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(Commands, AnotherPoolOfTheSameNameIsNotJoinedOver) {
  make_pool();
  wow({"join", invite()});
  fs::remove(root_ / "etc/lab.root");
  make_pool();
  EXPECT_TRUE(has(refused({"join", invite()}), "another pool named lab"));
}

TEST_F(Commands, ClosingAnInviteEndsJoiningByIt) {
  make_pool();
  const fs::path file = invite({"--label", "cluster"});
  // Who came by it is known to the running pool alone.
  EXPECT_TRUE(has(refused({"invite", "close", "cluster"}), "--keep-none"));
  EXPECT_TRUE(
      has(refused({"invite", "close", "nonesuch", "--keep-none"}), "no invite \"nonesuch\""));
  EXPECT_TRUE(has(refused({"invite", "close", "cluster", "--keep", "xyz"}), "40 digits"));
  const std::string said = wow({"invite", "close", "cluster", "--keep-none"});
  EXPECT_TRUE(has(said, "nobody joins by it any more"));
  EXPECT_TRUE(has(said, "wow pool settings lab > lab.settings"));
  EXPECT_TRUE(has(wow({"pool", "show"}), "closed"));
  const std::string settings = wow({"pool", "settings"});
  EXPECT_TRUE(from_hex(settings.substr(0, settings.size() - 1)));
}

TEST_F(Commands, OfTwoInvitesWithOneLabelTheOneToCloseIsNamedByItsId) {
  make_pool();
  invite({"--label", "cluster"});
  const auto facts =
      json::parse(wow({"invite", "show", "--json", invite({"--label", "cluster"})})).as_object();
  EXPECT_TRUE(
      has(refused({"invite", "close", "cluster", "--keep-none"}), "2 invites are labelled"));
  wow({"invite", "close", std::string(facts.at("id").as_string()), "--keep-none"});
  const std::string shown = wow({"pool", "show"});
  EXPECT_TRUE(has(shown, "open"));
  EXPECT_TRUE(has(shown, std::string(facts.at("id").as_string()) + "  closed"));
}

TEST_F(Commands, AMembershipForAProgramOfOnesOwnLeavesTheDaemonsFilesAlone) {
  make_pool();
  wow({"join", invite(), "--directory", root_ / "mine", "--name", "node7"});
  EXPECT_EQ(mode_of(root_ / "mine/member"), 0600u);
  EXPECT_FALSE(fs::exists(root_ / "lib/lab"));
  EXPECT_FALSE(fs::exists(root_ / "etc/lab.conf"));
}

TEST_F(Commands, RevokingTakesAnAddress) {
  make_pool();
  const std::string node(40, 'a');
  EXPECT_TRUE(has(wow({"revoke", node}), "Node " + node + " is revoked."));
  EXPECT_EQ(json::parse(wow({"pool", "show", "--json"})).at("revoked_nodes"), 1);
  EXPECT_TRUE(has(refused({"revoke", "node7"}), "no daemon runs for pool lab")) << "names need one";
}

TEST_F(Commands, WithoutADaemonTheWayToStartItIsNamed) {
  for (const std::string command : {"status", "peers", "leases"})
    EXPECT_EQ(
        refused({command, "-p", "lab"}),
        "no daemon runs for pool lab: start it with `wow up lab` or, as a router, `wow router "
        "lab`");
  refused({"ping", "-p", "lab", "node7"});
  EXPECT_TRUE(has(refused({"trace", "-p", "lab", "node7"}), "no daemon runs for pool lab"));
  for (const std::string op : {"get", "renew", "rm", "watch", "stat"})
    EXPECT_TRUE(has(refused({"dht", op, "-p", "lab", "key"}), "no daemon runs for pool lab")) << op;
  EXPECT_TRUE(has(refused({"dht", "stat", "-p", "lab"}), "no daemon runs for pool lab"));
  EXPECT_TRUE(has(refused({"dht", "put", "-p", "lab", "key", "value", "--ttl", "0"}), "--ttl"));
  EXPECT_TRUE(has(refused({"dht", "watch", "-p", "lab", "key", "--interval", "0"}), "--interval"));
  EXPECT_TRUE(has(refused({"dht", "watch", "-p", "lab"}), "KEY is required"));
}

TEST_F(Commands, SettingsFromAFileAreSettings) {
  make_pool();
  const fs::path file = root_ / "lab.settings";
  ASSERT_TRUE(write_file(file, view_of("not hexadecimal\n")));
  EXPECT_TRUE(has(refused({"pool", "adopt", "-p", "lab", file}), "`wow pool settings`"));
}

TEST_F(Commands, ADriveForGuestsIsSecretAndReplacesNothingUnasked) {
  make_pool();
  const fs::path drive = root_ / "lab.iso", file = invite();
  std::string said;
  wow({"image", "config", file, "-o", drive}, &said);
  if (has(said, "apt install xorriso")) GTEST_SKIP() << said;
  EXPECT_EQ(said, "");
  EXPECT_EQ(mode_of(drive), 0600u);
  const auto before = fs::last_write_time(drive);
  EXPECT_TRUE(has(refused({"image", "config", file, "-o", drive}), "--force replaces it"));
  EXPECT_EQ(fs::last_write_time(drive), before);
  EXPECT_TRUE(has(wow({"image", "config", file, "-o", drive, "--force"}), "Whoever has it"));
}

TEST_F(Commands, ADriveWithAnInviteThatAdmitsNobodyIsNotMade) {
  make_pool();
  const fs::path drive = root_ / "lab.iso", file = invite({"--join-by", "2020-01-31"});
  const auto refuses = [&](const fs::path& with, const std::string& why) {
    EXPECT_TRUE(has(refused({"image", "config", with, "-o", drive}), why)) << why;
    EXPECT_FALSE(fs::exists(drive)) << why;
  };
  refuses(file, "good for joining until 2020-01-31");
  refuses(root_ / "none", "none");
  std::ofstream(root_ / "text") << "no invite";
  fs::permissions(root_ / "text", fs::perms(0600));
  refuses(root_ / "text", "text: ");
  const fs::path good = invite();
  fs::permissions(good, fs::perms(0644));
  refuses(good, "can be read by others");
  fs::permissions(good, fs::perms(0600));
  EXPECT_TRUE(has(refused({"image", "config", good, "-o", root_ / "no/such/folder/x.iso"}),
                  "cannot write"));
}

TEST_F(Commands, AGuestReplacesNothingUnasked) {
  fs::create_directories(root_ / "guest");
  std::ofstream(root_ / "guest/kernel") << "of somebody";
  EXPECT_TRUE(has(refused({"image", "guest", "-o", root_ / "guest"}), "--force replaces it"));
  EXPECT_EQ(fs::file_size(root_ / "guest/kernel"), 11u);
}

TEST_F(Commands, AnInviteThatIsNotHandedOverIsSaidInOneSentence) {
  EXPECT_TRUE(has(refused({"join", "auto"}), "no invite was handed to this machine"));
  EXPECT_TRUE(has(refused({"join", "auto", "--erase-invite"}), "--erase-invite needs a file"));
}

TEST_F(Commands, AMemberStaysOneWhenItsDriveWasTakenAway) {
  CommandContext context;
  EXPECT_THROW(join_pool(context, "auto"), CommandError);
  make_pool();
  wow({"join", invite()});
  testing::internal::CaptureStderr();
  EXPECT_EQ(join_pool(context, "auto"), "lab");
  EXPECT_EQ(join_pool(context, "auto", "lab"), "lab");
  EXPECT_TRUE(has(testing::internal::GetCapturedStderr(), "stays a member of pool lab"));
  EXPECT_THROW(join_pool(context, "auto", "other"), CommandError) << "it is no member of that";
}

TEST_F(Commands, AnInviteToAnotherPoolThanTheOneMeantChangesNothing) {
  make_pool();
  CommandContext context;
  EXPECT_THROW(join_pool(context, invite(), "other"), CommandError);
  EXPECT_TRUE(context.paths.pools().empty());
}

}  // namespace
}  // namespace wow
