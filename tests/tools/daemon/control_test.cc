// The control socket from both ends: the daemon's server and the commands' client.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <thread>

#include "tools/cli/control_client.h"
#include "tools/daemon/control_server.h"

namespace wow {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using Access = ControlServer::Access;
using Reply = ControlServer::Reply;

// Neither root nor in any of its groups.
bool become_somebody() {
  return setgroups(0, nullptr) == 0 && setresgid(54321, 54321, 54321) == 0 &&
         setresuid(54321, 54321, 54321) == 0;
}

class Control : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    server_ = std::make_unique<ControlServer>(io_.get_executor(), socket_, -1);
    server_->handle("echo", Access::kRead,
                    [](const json::object& arguments, const Reply& reply) { reply(arguments); });
    server_->handle("change", Access::kChange,
                    [](const json::object&, const Reply& reply) { reply(json::object{}); });
    server_->start();
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    io_.stop();
    thread_.join();
    server_.reset();
    fs::remove_all(folder_);
  }
  // On the server's own thread.
  void handle(const std::string& name, const ControlServer::Handler& handler) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      server_->handle(name, Access::kRead, handler);
      done.set_value();
    });
    done.get_future().wait();
  }
  Result<json::object> ask(const std::string& command, const json::object& arguments = {}) {
    return ask_daemon(socket_, "lab", command, arguments);
  }
  int connect_raw() const {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, socket_.c_str(), sizeof to.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  // All that the server says to these bytes until it hangs up.
  std::string say(const std::string& request) const {
    const int fd = connect_raw();
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string out;
    char chunk[4096];
    for (ssize_t got; (got = recv(fd, chunk, sizeof chunk, 0)) > 0;)
      out.append(chunk, static_cast<std::size_t>(got));
    close(fd);
    return out;
  }
  static std::string post(const std::string& body) {
    return "POST /echo HTTP/1.1\r\nHost: wow\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

  const fs::path folder_ = fs::path("/tmp") / ("wow-control-" + std::to_string(getpid()));
  const fs::path socket_ = folder_ / "lab.sock";
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

TEST_F(Control, AnswersWithWhatItsHandlerReplies) {
  const auto answer = ask("echo", {{"host", "node7"}, {"n", 7}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, (json::object{{"host", "node7"}, {"n", 7}}));
  EXPECT_TRUE(daemon_listens(socket_));
}

TEST_F(Control, ErrorsKeepTheirKindAndSentence) {
  for (const ErrorCode code :
       {ErrorCode::kNotFound, ErrorCode::kAlreadyExists, ErrorCode::kUnavailable,
        ErrorCode::kPermission, ErrorCode::kInvalidArgument}) {
    handle("fail", [code](const json::object&, const Reply& reply) {
      reply(Error{code, "because"});
    });
    const auto answer = ask("fail");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, code);
    EXPECT_EQ(answer.error().message, "because");
  }
}

TEST_F(Control, AnUnknownCommandIsSaidToBeUnknown) {
  const auto answer = ask("nonesuch");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message,
            "this daemon knows no such command: is it older than the program?");
}

TEST_F(Control, BadRequestsAreAnsweredAndTheServerGoesOn) {
  EXPECT_NE(say(post("{\"a\":")).find("the request is not JSON"), std::string::npos);
  EXPECT_NE(say(post("[1, 2]")).find("the request is not JSON"), std::string::npos);
  EXPECT_EQ(say("no HTTP at all\r\n\r\n"), "");
  EXPECT_NE(say("GET /echo HTTP/1.1\r\nHost: wow\r\n\r\n").find("200 OK"), std::string::npos)
      << "as curl asks";
  EXPECT_TRUE(ask("echo"));
}

TEST_F(Control, ADeeplyNestedRequestIsRefused) {
  EXPECT_NE(say(post(std::string(100'000, '['))).find("the request is not JSON"),
            std::string::npos);
}

TEST_F(Control, ATooLargeRequestIsCutOff) {
  EXPECT_EQ(say("POST /echo HTTP/1.1\r\nHost: wow\r\nContent-Length: " +
                std::to_string(ControlServer::kRequestBytesMax + 1) + "\r\n\r\n"),
            "");
  const json::object fits{{"s", std::string(ControlServer::kRequestBytesMax - 100, 'x')}};
  EXPECT_TRUE(ask("echo", fits));
}

TEST_F(Control, ConnectionsAreBounded) {
  std::vector<int> idle;
  for (std::size_t i = 0; i < ControlServer::kConnectionsMax; ++i) idle.push_back(connect_raw());
  EXPECT_EQ(say(""), "") << "one too many is hung up on";
  EXPECT_FALSE(ask("echo"));
  for (const int fd : idle) close(fd);
  // The server hears of the closed ones in its own time.
  Result<json::object> answer = ask("echo");
  for (int i = 0; i < 1000 && !answer; ++i) answer = ask("echo");
  EXPECT_TRUE(answer);
}

TEST_F(Control, ReplyMayComeLaterAndOnlyTheFirstCounts) {
  boost::asio::steady_timer later(io_);
  handle("later", [&](const json::object&, const Reply& reply) {
    later.expires_after(std::chrono::milliseconds(20));
    later.async_wait([reply](boost::system::error_code) {
      reply(json::object{{"first", true}});
      reply(json::object{{"first", false}});
    });
  });
  EXPECT_EQ(ask("later").value(), (json::object{{"first", true}}));
}

TEST_F(Control, AClientThatLeavesEarlyHarmsNobody) {
  Reply kept;
  handle("never", [&](const json::object&, const Reply& reply) { kept = reply; });
  const auto answer = ask_daemon(socket_, "lab", "never", {}, std::chrono::seconds(0));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  boost::asio::post(io_, [&] {
    if (kept) kept(json::object{});
    kept = nullptr;
  });
  EXPECT_TRUE(ask("echo"));
}

TEST_F(Control, OnlyRootAndTheDaemonsUserMayChange) {
  EXPECT_TRUE(ask("change"));
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  ASSERT_EQ(chmod(socket_.c_str(), 0666), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (!become_somebody()) _exit(77);
    const auto read = ask("echo"), change = ask("change");
    _exit(read && !change && change.error().code == ErrorCode::kPermission &&
                  change.error().message ==
                      "only root and the daemon's user may do this: try with sudo"
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "other users do not exist in this namespace";
  EXPECT_EQ(status, 0);
}

TEST_F(Control, TheSocketIsForOwnerAndGroup) {
  struct stat info {};
  ASSERT_EQ(stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  if (geteuid() != 0) return;
  const pid_t child = fork();
  if (child == 0) {
    if (!become_somebody()) _exit(77);
    const auto answer = ask("echo");
    _exit(!answer && answer.error().code == ErrorCode::kPermission &&
                  answer.error().message.find("join the group wow") != std::string::npos
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "other users do not exist in this namespace";
  EXPECT_EQ(status, 0);
}

class ControlSocket : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  const fs::path folder_ = fs::path("/tmp") / ("wow-socket-" + std::to_string(getpid()));
  const fs::path socket_ = folder_ / "lab.sock";
  boost::asio::io_context io_{1};
};

TEST_F(ControlSocket, AStaleOneIsReplacedAndOursIsRemovedAtTheEnd) {
  const auto is_running = [&] {
    const auto answer = ask_daemon(socket_, "lab", "status");
    EXPECT_FALSE(answer);
    return answer.error().message.find("no daemon runs for pool lab") == std::string::npos;
  };
  EXPECT_FALSE(is_running()) << "none yet";
  {
    const int stale = open(socket_.c_str(), O_CREAT | O_WRONLY, 0600);
    close(stale);
  }
  EXPECT_FALSE(is_running()) << "a file that nobody listens at";
  {
    ControlServer server(io_.get_executor(), socket_, -1);
    EXPECT_TRUE(daemon_listens(socket_));
  }
  EXPECT_FALSE(fs::exists(socket_));
  EXPECT_FALSE(daemon_listens(socket_));
}

TEST_F(ControlSocket, OneThatCannotBeMadeIsSaid) {
  for (const fs::path& path : {folder_ / "no" / "lab.sock", folder_ / std::string(200, 'x')})
    EXPECT_ANY_THROW(ControlServer(io_.get_executor(), path, -1));
}

}  // namespace
}  // namespace wow
