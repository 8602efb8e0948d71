#include "tap/linux/names_helper.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "base/log.h"
#include "tap/linux/hosts_file.h"

namespace wow {
namespace {

// A message: its length in 4 bytes, then lines; the first says what to do.
constexpr std::size_t kMessageBytesMax = NamesHelper::kNamesMax * 160;

constexpr unsigned kRunSecondsMax = 5;

constexpr const char* kResolvectlPlaces[] = {"/usr/bin/resolvectl", "/bin/resolvectl"};

const char* resolvectl() {
  for (const char* place : kResolvectlPlaces) {
    if (access(place, X_OK) == 0) return place;
  }
  return nullptr;
}

bool read_all(int fd, void* out, std::size_t bytes) {
  auto* at = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = read(fd, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

void run(const std::vector<std::string>& words) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    alarm(kRunSecondsMax);  // survives exec: a program that hangs is ended
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  if (child > 0) waitpid(child, nullptr, 0);
}

// The child's side. What it is told comes from a process that parses hostile bytes: it is checked
// again here.
class Child {
 public:
  Child(int fd, std::string pool, std::string hosts_file)
      : fd_(fd), pool_(std::move(pool)), hosts_file_(std::move(hosts_file)) {}

  void serve() {
    set_block("");
    for (;;) {
      std::uint32_t length = 0;
      if (!read_all(fd_, &length, sizeof length) || length > kMessageBytesMax) break;
      std::string message(length, 0);
      if (!read_all(fd_, message.data(), length)) break;
      obey(message);
    }
    undo();
  }

 private:
  void obey(const std::string& message) {
    std::istringstream in(message);
    std::string what;
    std::getline(in, what);
    if (what == "hosts") {
      set_hosts(in);
    } else if (what == "resolved") {
      set_resolved(in);
    }
  }

  void set_hosts(std::istringstream& in) {
    std::string lines;
    for (std::string line; std::getline(in, line);) {
      const auto space = std::min(line.find(' '), line.size());
      const auto ip = IpAddress::parse(line.substr(0, space));
      const std::string name = line.substr(std::min(space + 1, line.size()));
      if (!ip || !is_name(name)) continue;
      lines += ip->text() + "\t" + name + "." + pool_ + ".internal " + name + "\n";
    }
    set_block(lines);
    wrote_hosts_ = true;
  }

  void set_block(const std::string& lines) {
    const auto done = write_hosts_block(hosts_file_, pool_, lines);
    if (!done && !std::exchange(warned_, true))
      log_warn("names not written", {{"why", done.error().message}});
  }

  void set_resolved(std::istringstream& in) {
    std::string interface, ip_text;
    in >> interface >> ip_text;
    const auto ip = IpAddress::parse(ip_text);
    const char* program = resolvectl();
    if (!ip || !is_name(interface) || interface.rfind("wow-", 0) != 0 || program == nullptr) return;
    interface_ = interface;
    run({program, "dns", interface, ip->text()});
    // A search domain, so that bare names work too; resolved routes its names as it would "~".
    run({program, "domain", interface, pool_ + ".internal"});
    run({program, "default-route", interface, "false"});
  }

  void undo() {
    if (wrote_hosts_) set_block("");
    if (!interface_.empty() && resolvectl()) run({resolvectl(), "revert", interface_});
  }

  const int fd_;
  const std::string pool_;
  const std::string hosts_file_;
  bool wrote_hosts_ = false;
  bool warned_ = false;
  std::string interface_;
};

}  // namespace

Result<std::unique_ptr<NamesHelper>> NamesHelper::start(const std::string& pool,
                                                        const std::string& hosts_file) {
  const auto helper =
      fork_helper("wow-names", SOCK_STREAM, [&](int fd) { Child(fd, pool, hosts_file).serve(); });
  if (!helper) return helper.error();
  return std::unique_ptr<NamesHelper>(new NamesHelper(*helper));
}

NamesHelper::~NamesHelper() { end_helper(helper_); }

bool NamesHelper::resolved_runs() {
  struct stat info {};
  return stat("/run/systemd/resolve/stub-resolv.conf", &info) == 0 && resolvectl() != nullptr;
}

bool NamesHelper::set_hosts(const std::vector<HostName>& names) {
  std::string message = "hosts\n";
  for (std::size_t i = 0; i < std::min(names.size(), kNamesMax); ++i) {
    if (is_name(names[i].name)) message += names[i].ip.text() + " " + names[i].name + "\n";
  }
  return tell(message);
}

bool NamesHelper::set_resolved(const std::string& interface, const IpAddress& dns_server) {
  return tell("resolved\n" + interface + " " + dns_server.text() + "\n");
}

bool NamesHelper::tell(const std::string& message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  std::string whole(reinterpret_cast<const char*>(&length), sizeof length);
  whole += message;
  for (std::size_t sent = 0; sent < whole.size();) {
    const ssize_t put = send(helper_.fd, whole.data() + sent, whole.size() - sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    sent += static_cast<std::size_t>(put);
  }
  return true;
}

}  // namespace wow
