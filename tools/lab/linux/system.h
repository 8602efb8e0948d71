// Small pieces of Linux that a laboratory is made of: namespaces of other processes, programs that
// are run in them, mounts. Failures are LabError, one sentence for whoever typed the command.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wow::lab {

class LabError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// This machine, container or user cannot have a laboratory.
class CannotRunHere : public LabError {
 public:
  using LabError::LabError;
};

[[noreturn]] void fail_with_errno(const std::string& what);

// A file descriptor with an owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read, write;
};
Pipe make_pipe();              // both ends close on exec
std::string read_all(int fd);  // until its end
void write_all(int fd, std::string_view text);
std::string read_text(const std::filesystem::path& path);  // empty if there is none
void write_text(const std::filesystem::path& path, std::string_view text);

// The namespaces of a process, held open. `proc`: a /proc that counts processes as `pid` does.
class Namespaces {
 public:
  // `kinds`: names below /proc/PID/ns, such as "net" and "mnt".
  Namespaces(const std::filesystem::path& proc, pid_t pid,
             std::initializer_list<const char*> kinds);
  // The calling process enters them; "pid" counts for its next children only.
  void enter() const;

 private:
  std::vector<Fd> files_;
};

// Forks; the child runs `body` and ends with what it returns (1 after an exception, whose text goes
// to stderr). Never returns in the child.
pid_t fork_to(const std::function<int()>& body);
// The same; the child is killed when this process ends, however and however soon that comes, and so
// leaves nothing behind that would hold a laboratory's leash.
pid_t fork_bound(const std::function<int()>& body);
// Waits for a child; its exit status, or 128 + signal.
int wait_for(pid_t pid);
// Waits likewise for a command in whose place this process stands: SIGTERM and SIGHUP are passed on
// to it as SIGTERM, and it is killed if that does not end it within `grace_s`; Ctrl-C, which a
// terminal sends to both, is the command's to answer. Call hold_signals before the fork, and
// release_signals in the child.
int stand_for(pid_t pid, int grace_s);
void hold_signals();
void release_signals();
// Runs a program to its end with `input` as its stdin; throws with what it said if it fails.
void run_program(const std::vector<std::string>& command, std::string_view input = {},
                 const Namespaces* inside = nullptr);
// In a child: becomes the command, found by the PATH in the environment; returns 127 if there is
// none. Signals are as in a fresh process.
int exec_command(const std::vector<std::string>& command,
                 const std::vector<std::string>& environment);
// Whether a program of this name is in the PATH.
bool has_program(const std::string& name);

// For processes that live on: closes all files but these and gives the process a name, in `ps` too.
void become_service(const std::string& title, std::initializer_list<int> keep);
// A service that does nothing but hold its namespaces, and reaps orphans. Never returns.
[[noreturn]] void hold_for_ever();

void mount_or_fail(const char* source, const std::filesystem::path& target, const char* type,
                   unsigned long flags, const char* options);
// Sets `lo` up in the caller's network namespace.
void set_loopback_up();
// In a network namespace that is new: IPv6 addresses count at once. Nobody else can have them, and
// a router that is still looking (for a second or two) forwards nothing.
void trust_addresses();
// Writes to /proc/sys; false if there is no such setting.
bool set_sysctl(const std::string& name, std::string_view value);

}  // namespace wow::lab
