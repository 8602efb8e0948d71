#include "tools/lab/linux/system.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tools/cli/run_program.h"

namespace wow::lab {

namespace fs = std::filesystem;

void fail_with_errno(const std::string& what) {
  throw LabError(what + ": " + std::strerror(errno));
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail_with_errno("no pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

std::string read_all(int fd) {
  std::string out;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

void write_text(const fs::path& path, std::string_view text) {
  const fs::path beside = path.string() + ".new";
  {
    std::ofstream file(beside);
    if (!(file << text << std::flush)) fail_with_errno("cannot write " + path.string());
  }
  fs::rename(beside, path);
}

Namespaces::Namespaces(const fs::path& proc, pid_t pid, std::initializer_list<const char*> kinds) {
  for (const char* kind : kinds) {
    const fs::path path = proc / std::to_string(pid) / "ns" / kind;
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) fail_with_errno("cannot enter process " + std::to_string(pid));
    files_.push_back(std::move(fd));
  }
}

void Namespaces::enter() const {
  // Mounts cannot be changed while another thread, such as a sanitizer's, shares the working
  // folder.
  unshare(CLONE_FS);
  for (const Fd& fd : files_)
    if (setns(fd.get(), 0) != 0) fail_with_errno("cannot enter a namespace");
}

pid_t fork_to(const std::function<int()>& body) {
  std::cout.flush();
  std::cerr.flush();
  const pid_t pid = fork();
  if (pid < 0) fail_with_errno("no new process");
  if (pid != 0) return pid;
  int status = 1;
  try {
    status = body();
  } catch (const std::exception& error) {
    std::cerr << "wow: " << error.what() << std::endl;
  }
  std::cout.flush();
  _exit(status);
}

pid_t fork_bound(const std::function<int()>& body) {
  const Fd parent(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!parent) fail_with_errno("no handle of this process");
  return fork_to([&] {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // It may have ended before that was asked for; its number would not tell in another namespace.
    pollfd ended{parent.get(), POLLIN, 0};
    return poll(&ended, 1, 0) == 0 ? body() : 1;
  });
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

namespace {

sigset_t stood_for() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT}) sigaddset(&set, number);
  return set;
}

}  // namespace

void hold_signals() {
  const sigset_t set = stood_for();
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

void release_signals() {
  const sigset_t set = stood_for();
  // What is ignored stays so over exec: the program ignores SIGPIPE, a shell's jobs SIGINT.
  for (const int number : {SIGPIPE, SIGINT, SIGQUIT}) signal(number, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

int stand_for(pid_t pid, int grace_s) {
  const sigset_t set = stood_for();
  bool told = false;
  for (;;) {
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    const timespec grace{grace_s, 0};
    const int number = told ? sigtimedwait(&set, nullptr, &grace) : sigwaitinfo(&set, nullptr);
    if (number == SIGTERM || number == SIGHUP) {
      told = true;
      kill(pid, SIGTERM);
    } else if (told && number < 0 && errno == EAGAIN) {
      kill(pid, SIGKILL);
    }
  }
}

void run_program(const std::vector<std::string>& command, std::string_view input,
                 const Namespaces* inside) {
  Pipe in = make_pipe(), said = make_pipe();
  const pid_t pid = fork_to([&] {
    if (inside) inside->enter();
    dup2(in.read.get(), STDIN_FILENO);
    dup2(said.write.get(), STDOUT_FILENO);
    dup2(said.write.get(), STDERR_FILENO);
    execvp(command[0].c_str(), pointers(command).data());
    return 127;
  });
  in.read.reset();
  said.write.reset();
  // Programs of the laboratory read all before they say anything, so neither pipe can fill up.
  write_all(in.write.get(), input);
  in.write.reset();
  const std::string words = read_all(said.read.get());
  const int status = wait_for(pid);
  if (status == 0) return;
  std::string line;
  for (const std::string& word : command) line += (line.empty() ? "" : " ") + word;
  throw LabError(status == 127 ? "the program " + command[0] + " is missing: run tools/setup"
                               : "`" + line + "` failed: " + words.substr(0, 600));
}

int exec_command(const std::vector<std::string>& command,
                 const std::vector<std::string>& environment) {
  release_signals();
  for (const std::string& variable : environment)
    if (variable.rfind("PATH=", 0) == 0) setenv("PATH", variable.c_str() + 5, 1);
  execvpe(command[0].c_str(), pointers(command).data(), pointers(environment).data());
  std::cerr << "wow: cannot run " << command[0] << ": " << std::strerror(errno) << std::endl;
  return 127;
}

bool has_program(const std::string& name) {
  std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');)
    if (access((folder + "/" + name).c_str(), X_OK) == 0) return true;
  return false;
}

namespace {

// Where the kernel keeps what `ps` shows: fields 48 to 51 of /proc/self/stat (proc(5)). A title
// that is longer than the arguments were goes on over the environment, as setproctitle's does
// elsewhere.
void set_title(const std::string& title) {
  prctl(PR_SET_NAME, title.c_str());
  const std::string stat = read_text("/proc/self/stat");
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 2, stat.size())));
  std::string skipped;
  for (int field = 3; field < 48; ++field) fields >> skipped;
  std::uintptr_t arguments = 0, arguments_end = 0, environment = 0, end = 0;
  if (!(fields >> arguments >> arguments_end >> environment >> end) || arguments == 0) return;
  if (environment != arguments_end) end = arguments_end;
  if (end - arguments < title.size() + 1) return;
  char* const words = reinterpret_cast<char*>(arguments);
  std::memset(words, 0, end - arguments);
  std::memcpy(words, title.data(), title.size());
}

}  // namespace

void become_service(const std::string& title, std::initializer_list<int> keep) {
  set_title(title);
  setsid();
  std::vector<int> kept(keep);
  std::sort(kept.begin(), kept.end());
  unsigned from = 0;
  for (const int fd : kept) {
    if (static_cast<unsigned>(fd) > from)
      syscall(SYS_close_range, from, static_cast<unsigned>(fd) - 1, 0);
    from = static_cast<unsigned>(fd) + 1;
  }
  syscall(SYS_close_range, from, ~0U, 0);
  // Numbers 0 to 2 must lead somewhere: a stray message would go into whatever is opened next.
  for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd <= STDERR_FILENO;)
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

void hold_for_ever() {
  signal(SIGCHLD, SIG_IGN);  // children are reaped by the kernel
  for (;;) pause();
}

void mount_or_fail(const char* source, const fs::path& target, const char* type,
                   unsigned long flags, const char* options) {
  if (mount(source, target.c_str(), type, flags, options) != 0)
    fail_with_errno("cannot mount " + target.string());
}

void set_loopback_up() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) fail_with_errno("cannot set lo up");
}

void trust_addresses() {
  for (const char* which : {"all", "default"})
    set_sysctl(std::string("net/ipv6/conf/") + which + "/accept_dad", "0");
}

bool set_sysctl(const std::string& name, std::string_view value) {
  const Fd file(::open(("/proc/sys/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  return file &&
         ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

}  // namespace wow::lab
