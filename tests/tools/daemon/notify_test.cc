#include "tools/daemon/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace wow {
namespace {

// What systemd listens at: a path, or a name of the abstract kind.
class Notify : public testing::Test {
 protected:
  void listen_at(const std::string& name) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    name.copy(at.sun_path, sizeof at.sun_path);
    if (name[0] == '@') at.sun_path[0] = 0;
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ASSERT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&at),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    unlink(path_.c_str());
    if (fd_ >= 0) close(fd_);
  }
  std::string heard() const {
    char text[256];
    const ssize_t got = recv(fd_, text, sizeof text, 0);
    return got < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(got));
  }

  const std::string path_ = "/tmp/wow-notify-" + std::to_string(getpid());
  int fd_ = -1;
};

TEST_F(Notify, TellsSystemdInOneDatagram) {
  listen_at(path_);
  notify_systemd("READY=1\nSTATUS=node7.lab.internal is up");
  EXPECT_EQ(heard(), "READY=1\nSTATUS=node7.lab.internal is up");
  EXPECT_EQ(heard(), "nothing");
}

TEST_F(Notify, KnowsTheAbstractKind) {
  listen_at("@wow-notify-" + std::to_string(getpid()));
  notify_systemd("STOPPING=1");
  EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(Notify, IsSilentWhereNobodyListens) {
  listen_at(path_);
  for (const std::string& name :
       {std::string(), std::string("relative"), path_ + ".absent", "/" + std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    notify_systemd("READY=1");
  }
  unsetenv("NOTIFY_SOCKET");
  notify_systemd("READY=1");
  EXPECT_EQ(heard(), "nothing");
}

}  // namespace
}  // namespace wow
