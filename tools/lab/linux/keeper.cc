#include "tools/lab/linux/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace wow::lab {

namespace fs = std::filesystem;

namespace {

const fs::path kRegistry = "/run/wow-lab";
constexpr int kGraceSeconds = 2;  // from SIGTERM to SIGKILL, for a command that a laboratory is for
constexpr int kDeathMilliseconds = 10'000;
constexpr char kDetach = 'd';
constexpr const char* kInside = "WOW_LAB";  // set in the environment of `wow lab run`

// Field 22 of /proc/PID/stat (proc(5)): a process number that is used again has another. Empty:
// none runs, or it was killed, has no memory any more, and the kernel still ends the others.
std::string start_time(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  if (read_text(folder + "/cmdline").empty()) return "";
  const std::string stat = read_text(folder + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field;
}

void prepare_inside() {
  mount_or_fail("lab", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  mount_or_fail("proc", "/proc", "proc", 0, nullptr);
  mount_or_fail("lab", "/run", "tmpfs", 0, "mode=755");
  for (const char* part : {"bin", "hosts", "logs", "nodes", "lines", "ssh", "proc"})
    fs::create_directories(kLabFolder / part);
  set_loopback_up();
}

// Process 1. It lives until the leash ends or, once detached, for ever.
[[noreturn]] void keep(const std::string& name, int leash, int ready) {
  try {
    prepare_inside();
  } catch (const std::exception& error) {
    write_all(ready, error.what());
    _exit(1);
  }
  become_service("wow-lab keeper " + name, {leash, ready});
  signal(SIGCHLD, SIG_IGN);
  write_all(ready, "ready");
  close(ready);
  for (;;) {
    pollfd wait{leash, POLLIN, 0};
    if (poll(&wait, 1, -1) < 0 && errno == EINTR) continue;
    char word = 0;
    if (read(leash, &word, 1) == 1 && word == kDetach) hold_for_ever();
    _exit(0);  // and the kernel ends all the others
  }
}

std::string no_namespaces(const std::string& why) {
  return "this kernel or container does not allow new namespaces (" + why +
         "): run it on the machine itself, or in a container with --privileged";
}

}  // namespace

Keeper Keeper::start(const std::string& name) {
  Pipe leash = make_pipe(), ready = make_pipe();
  // A child of ours in a new PID namespace; our next children shall be where we are.
  const Namespaces here("/proc", getpid(), {"pid"});
  if (unshare(CLONE_NEWPID) != 0) throw CannotRunHere(no_namespaces(std::strerror(errno)));
  const pid_t pid = fork_to([&]() -> int {
    leash.write.reset();
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) != 0) {
      write_all(ready.write.get(), std::strerror(errno));
      return 1;
    }
    keep(name, leash.read.get(), ready.write.get());
  });
  here.enter();
  ready.write.reset();
  if (const std::string said = read_all(ready.read.get()); said != "ready") {
    wait_for(pid);
    throw CannotRunHere(no_namespaces(said));
  }
  Keeper out(name, pid);
  out.leash_ = std::move(leash.write);
  return out;
}

std::vector<Keeper> Keeper::all() {
  std::vector<Keeper> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(kRegistry, none)) {
    std::istringstream line(read_text(entry.path()));
    pid_t pid = 0;
    std::string started;
    if (line >> pid >> started && start_time(pid) == started)
      out.push_back(Keeper(entry.path().filename(), pid));
    else
      fs::remove(entry.path(), none);  // what is left of one that was killed
  }
  return out;
}

std::optional<Keeper> Keeper::find(const std::string& name) {
  auto running = all();
  if (name.empty() && running.size() > 1) {
    std::string names;
    for (const Keeper& keeper : running) names += (names.empty() ? "" : ", ") + keeper.name();
    throw LabError("several laboratories are up (" + names + "): name one with --lab");
  }
  for (Keeper& keeper : running)
    if (name.empty() || keeper.name() == name) return std::move(keeper);
  return std::nullopt;
}

std::optional<Keeper> Keeper::around_us() {
  const char* const name = std::getenv(kInside);
  std::error_code none;
  if (!name || !fs::exists(kLabFolder / "nodes", none)) return std::nullopt;
  return Keeper(name, 0);
}

fs::path Keeper::path(const fs::path& inside) const {
  if (pid_ == 0) return inside;
  return fs::path("/proc") / std::to_string(pid_) / "root" / inside.relative_path();
}

void Keeper::enter() const {
  if (pid_ == 0) return;
  Namespaces("/proc", pid_, {"ipc", "uts", "net", "pid", "mnt"}).enter();
  if (chdir("/") != 0) fail_with_errno("cannot enter the laboratory");
}

int Keeper::run_inside(const std::function<int()>& body) const {
  // A process of its own to enter: this one shall stay where it is. Its child is inside.
  return wait_for(fork_bound([&] {
    enter();
    return wait_for(fork_bound([&] { return body(); }));
  }));
}

int Keeper::run_command(const std::vector<std::string>& command) const {
  hold_signals();
  const fs::path here = fs::current_path();
  const pid_t helper = fork_bound([&] {
    enter();
    const pid_t child = fork_bound([&] {
      std::error_code none;
      fs::current_path(here, none);
      std::vector<std::string> environment = {std::string(kInside) + "=" + name_};
      for (char** variable = environ; *variable; ++variable) environment.emplace_back(*variable);
      return exec_command(command, environment);
    });
    return stand_for(child, kGraceSeconds);
  });
  return stand_for(helper, kGraceSeconds + 1);
}

void Keeper::announce() const {
  std::error_code error;
  fs::create_directories(kRegistry, error);
  try {
    write_text(kRegistry / name_, std::to_string(pid_) + " " + start_time(pid_) + "\n");
  } catch (const std::exception&) {
    // Others will not find it; it works all the same.
  }
}

void Keeper::detach() {
  fs::create_directories(kRegistry);
  write_text(kRegistry / name_, std::to_string(pid_) + " " + start_time(pid_) + "\n");
  write_all(leash_.get(), std::string_view(&kDetach, 1));
  leash_.reset();
}

void Keeper::end() const {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (process) {
    kill(pid_, SIGKILL);
    pollfd wait{process.get(), POLLIN, 0};
    poll(&wait, 1, kDeathMilliseconds);
    waitpid(pid_, nullptr, WNOHANG);  // it may be our child
  }
  std::error_code none;
  fs::remove(kRegistry / name_, none);
}

void check_laboratory_can_run() {
  if (geteuid() != 0)
    throw CannotRunHere(
        "this needs root, because it makes network namespaces and TAP devices: run it with sudo");
  for (const char* program : {"ip", "nft", "bridge"})
    if (!has_program(program))
      throw CannotRunHere(std::string("the program ") + program +
                          " is missing: install iproute2 and nftables, or run tools/setup");
  if (!Fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC)))
    throw CannotRunHere(
        "there is no usable /dev/net/tun: load the kernel module (modprobe tun), or give it to "
        "this container (--device /dev/net/tun)");
}

}  // namespace wow::lab
