#include "tools/cli/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tools/cli/commands.h"

namespace wow {
namespace {

namespace fs = std::filesystem;

// A command with one option of each type that `wow up` has.
class Config : public testing::Test {
 protected:
  void SetUp() override {
    up_->add_option("--name", name_, "");
    up_->add_option("--workers", workers_, "")->check(CLI::Range(1, 7));
    up_->add_option("--bootstrap", bootstraps_, "")->allow_extra_args(false);
    up_->add_flag("--ignore-routes", ignore_routes_, "");
    up_->add_option("--invite", invite_, "");
    router_->add_option("--listen", listen_, "");
    app_.require_subcommand(1);
  }
  void TearDown() override { fs::remove(file_); }

  // What `wow up ARGUMENTS` with that file says: empty if all is well.
  std::string apply(const std::string& text, const std::vector<std::string>& arguments = {}) {
    std::ofstream(file_) << text;
    std::vector<std::string> line(arguments.rbegin(), arguments.rend());
    line.push_back("up");
    app_.parse(line);
    const auto done = apply_config(*up_, file_, router_);
    if (done) return "";
    EXPECT_NE(done.error().message.find(file_.string()), std::string::npos);
    return done.error().message;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  const fs::path file_ = fs::path(testing::TempDir()) / "lab.conf";
  CLI::App app_{"", "wow"};
  CLI::App* up_ = app_.add_subcommand("up");
  CLI::App* router_ = app_.add_subcommand("router");
  std::string name_, invite_;
  int workers_ = 1, listen_ = 0;
  std::vector<std::string> bootstraps_;
  bool ignore_routes_ = false;
};

TEST_F(Config, KeysAreFlagsInTheTypesOfToml) {
  EXPECT_EQ(apply("# a remark\nname = \"node7\"\nworkers = 3\nignore-routes = true\n"
                  "bootstrap = [\"198.51.100.7:4433\", \"198.51.100.8:4433\"]\n"),
            "");
  EXPECT_EQ(name_, "node7");
  EXPECT_EQ(workers_, 3);
  EXPECT_TRUE(ignore_routes_);
  EXPECT_EQ(bootstraps_, (std::vector<std::string>{"198.51.100.7:4433", "198.51.100.8:4433"}));
}

TEST_F(Config, WithoutAFileNothingChanges) {
  app_.parse("up --name typed", false);
  EXPECT_TRUE(apply_config(*up_, file_.string() + ".absent"));
  EXPECT_EQ(name_, "typed");
  EXPECT_EQ(workers_, 1);
}

TEST_F(Config, OneWordCanBeLookedUp) {
  std::ofstream(file_) << "listen = 4433\nproxy = \"http://10.0.0.1:3128\"\n"
                          "bootstrap = [\"a:1\", \"b:2\"]\n";
  EXPECT_EQ(*config_word(file_, "proxy"), "http://10.0.0.1:3128");
  EXPECT_EQ(*config_word(file_, "name"), "");
  EXPECT_EQ(*config_word(file_, "bootstrap"), "") << "these are two";
  EXPECT_EQ(*config_word(file_.string() + ".absent", "proxy"), "");
}

TEST_F(Config, TheCommandLineWins) {
  EXPECT_EQ(apply("name = \"file\"\nworkers = 2\nbootstrap = \"192.0.2.1:1\"\n",
                  {"--name", "typed", "--bootstrap", "192.0.2.2:2"}),
            "");
  EXPECT_EQ(name_, "typed");
  EXPECT_EQ(workers_, 2);
  EXPECT_EQ(bootstraps_, std::vector<std::string>{"192.0.2.2:2"});
}

TEST_F(Config, AMisspeltKeySuggestsTheNearest) {
  EXPECT_TRUE(has(apply("wokrers = 2\n"), "\"wokrers\" is no option; did you mean \"workers\"?"));
  EXPECT_TRUE(has(apply("ignore_routes = true\n"), "did you mean \"ignore-routes\"?"));
  EXPECT_TRUE(
      has(apply("colour = \"red\"\n"), "\"colour\" is no option: `wow help up` lists them"));
}

TEST_F(Config, ValuesAreCheckedAsOnTheCommandLine) {
  EXPECT_TRUE(has(apply("workers = 99\n"), "workers: "));
  EXPECT_TRUE(has(apply("workers = \"many\"\n"), "workers: "));
  EXPECT_TRUE(has(apply("ignore-routes = \"perhaps\"\n"), "must be true or false, not perhaps"));
  EXPECT_EQ(apply("ignore-routes = false\n"), "");
  EXPECT_FALSE(ignore_routes_);
}

TEST_F(Config, TheOtherWayToRunLeavesItsKeysInTheSameFile) {
  EXPECT_EQ(apply("listen = 4433\nname = \"node7\"\n"), "");
  EXPECT_EQ(listen_, 0);
  EXPECT_EQ(name_, "node7");
}

TEST_F(Config, SectionsAreNone) {
  EXPECT_TRUE(has(apply("[section]\nname = \"x\"\n"), "is no option"));
}

TEST_F(Config, AFileThatCannotBeReadIsNotPassedOver) {
  fs::create_directory(file_);
  app_.parse("up", false);
  EXPECT_FALSE(apply_config(*up_, file_));
}

TEST(NearestWord, IsWhatWasMostLikelyMeant) {
  const std::vector<std::string> words = {"status", "peers", "leases", "ping"};
  EXPECT_EQ(nearest_word("stauts", words), "status");
  EXPECT_EQ(nearest_word("lease", words), "leases");
  EXPECT_EQ(nearest_word("pong", words), "ping");
  EXPECT_EQ(nearest_word("frobnicate", words), "");
  EXPECT_EQ(nearest_word("x", {}), "");
}

// The real commands: each flag may be a key.
TEST(ConfigOfUp, EveryFlagMayBeAKey) {
  const fs::path file = fs::path(testing::TempDir()) / "up.conf";
  std::ofstream(file) << "foreground = true\nlisten = 4433\nbootstrap = [\"192.0.2.1:1\"]\n"
                         "log-level = \"debug\"\nallow-loopback = true\nname = \"node7\"\n"
                         "ip = \"10.128.0.9\"\nworkers = 2\nnames = \"off\"\n"
                         "ignore-routes = true\non-change = \"/bin/true\"\n"
                         "listen-tcp = 4433\nlisten-tls = 443\nproxy = \"off\"\n"
                         "no-lan = true\nno-port-map = true\npoll-us = 7\nrelay-rate = 9\n"
                         "punch-probes = 99\npunch-rate = 50\nbridge = \"br0\"\n"
                         "invite = \"auto\"\n";
  CLI::App app;
  CommandContext context;
  add_daemon_commands(app, context);
  const CLI::App *up = app.get_subcommand("up"), *router = app.get_subcommand("router");
  const auto host = apply_config(*app.get_subcommand("up"), file, router);
  EXPECT_TRUE(host) << host.error().message;
  const auto other = apply_config(*app.get_subcommand("router"), file, up);
  EXPECT_TRUE(other) << other.error().message;
  std::size_t unset = 0;
  for (const CLI::Option* option : up->get_options()) unset += option->count() == 0;
  EXPECT_EQ(unset, 2u) << "all but help and POOL";
  fs::remove(file);
}

}  // namespace
}  // namespace wow
