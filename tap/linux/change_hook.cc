#include "tap/linux/change_hook.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/log.h"

namespace wow {
namespace {

using Milliseconds = std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// How often a run is looked after. It lasts a second or so, and nobody waits for its end.
constexpr Milliseconds kLook{20};
// Between SIGTERM and SIGKILL.
constexpr Milliseconds kGrace{1000};

Result<void> check(const std::string& program) {
  struct stat info {};
  if (program.empty() || program.front() != '/')
    return Error{ErrorCode::kInvalidArgument,
                 "on-change takes the whole path of a program, not \"" + program + "\""};
  if (stat(program.c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
      access(program.c_str(), X_OK) != 0)
    return Error{ErrorCode::kInvalidArgument,
                 "on-change: " + program + " is no program: write it, and chmod +x"};
  if (geteuid() == 0 && (info.st_uid != 0 || (info.st_mode & 022) != 0))
    return Error{ErrorCode::kPermission, "on-change: " + program +
                                             " would run as root and can be changed by others: "
                                             "chown root, chmod go-w"};
  return {};
}

// The child's side.
class Child {
 public:
  Child(int fd, std::string pool, std::string program, ChangeHook::Limits limits)
      : fd_(fd), pool_(std::move(pool)), program_(std::move(program)), limits_(limits) {}

  void serve() {
    while (await_change() && run() && !is_closed_within(limits_.pause)) {
    }
  }

 private:
  // Takes all that was told until now; false at the daemon's end.
  bool await_change() {
    char byte;
    ssize_t got;
    do got = recv(fd_, &byte, 1, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return false;
    while (recv(fd_, &byte, 1, MSG_DONTWAIT) > 0) {
    }
    return true;
  }

  bool is_closed_within(Milliseconds time) {
    pollfd end{fd_, 0, 0};
    return poll(&end, 1, static_cast<int>(time.count())) > 0;
  }

  // False if the daemon ended meanwhile.
  bool run() {
    const pid_t child = fork();
    if (child == 0) become_program();
    if (child < 0) return true;
    const auto end = SteadyClock::now() + limits_.run;
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
      const bool closed = is_closed_within(kLook);
      if (!closed && SteadyClock::now() < end) continue;
      stop(child);
      if (!closed)
        log_warn("on-change ended", {{"program", program_}, {"why", "it took too long"}});
      return !closed;
    }
    kill(-child, SIGKILL);  // what it left running
    if (status != 0)
      log_warn("on-change failed", {{"program", program_}, {"status", exit_code(status)}});
    return true;
  }

  static int exit_code(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  static void stop(pid_t child) {
    kill(-child, SIGTERM);
    for (auto end = SteadyClock::now() + kGrace; SteadyClock::now() < end;) {
      if (waitpid(child, nullptr, WNOHANG) != 0) break;
      poll(nullptr, 0, static_cast<int>(kLook.count()));
    }
    kill(-child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  [[noreturn]] void become_program() {
    setsid();
    for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(ignored, SIG_DFL);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setenv("WOW_POOL", pool_.c_str(), 1);
    std::string pool = pool_, program = program_;
    char* const arguments[] = {program.data(), pool.data(), nullptr};
    execv(program.c_str(), arguments);
    _exit(127);
  }

  const int fd_;
  const std::string pool_;
  const std::string program_;
  const ChangeHook::Limits limits_;
};

}  // namespace

Result<std::unique_ptr<ChangeHook>> ChangeHook::start(const std::string& pool,
                                                      const std::string& program, Limits limits) {
  if (auto fine = check(program); !fine) return fine.error();
  const auto helper = fork_helper("wow-hook", SOCK_SEQPACKET,
                                  [&](int fd) { Child(fd, pool, program, limits).serve(); });
  if (!helper) return helper.error();
  return std::unique_ptr<ChangeHook>(new ChangeHook(*helper));
}

ChangeHook::~ChangeHook() { end_helper(helper_); }

bool ChangeHook::changed() {
  // A full queue holds enough of them already.
  return send(helper_.fd, "c", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 || errno == EAGAIN;
}

}  // namespace wow
