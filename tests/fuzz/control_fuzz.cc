// The control socket: requests as nobody should write them. The server answers or hangs up, and
// then answers a good one.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstring>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/temporary_file.h"
#include "tools/daemon/control_server.h"

namespace wow {
namespace {

class Talk {
 public:
  Talk()
      : file_({}),
        path_(file_.path().parent_path() / "sock"),
        server_(io_.get_executor(), path_, -1) {
    for (const char* name : {"status", "echo"}) {
      server_.handle(name, ControlServer::Access::kRead,
                     [](const auto& arguments, const auto& reply) { reply(arguments); });
    }
    server_.start();
  }

  // What the server says to these bytes and the end of them.
  std::string say(ByteView request) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path_.c_str(), sizeof to.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    std::string out;
    for (int idle = 0; idle < 3;) {
      io_.restart();
      if (io_.poll() == 0) ++idle;
      char chunk[4096];
      const ssize_t got = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
      if (got > 0) out.append(chunk, static_cast<std::size_t>(got));
      if (got == 0) break;
    }
    close(fd);
    return out;
  }

 private:
  TemporaryFile file_;
  const std::filesystem::path path_;
  boost::asio::io_context io_{1};
  ControlServer server_;
};

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::Talk talk;
  (void)talk.say(wow::ByteView(data, size));
  const std::string good =
      "POST /echo HTTP/1.1\r\nHost: wow\r\nContent-Length: 9\r\n\r\n{\"n\": 42}";
  assert(talk.say(wow::view_of(good)).find("{\"n\":42}") != std::string::npos);
  return 0;
}
