#include "tools/cli/run_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace wow {
namespace {

// The last line of what is read until the other end closes; no more than a line's worth is kept.
std::string last_line(int fd) {
  constexpr std::size_t kLineBytesMax = 4096;
  std::string said;
  char chunk[4096];
  for (ssize_t got; (got = read(fd, chunk, sizeof chunk)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    said.append(chunk, static_cast<std::size_t>(got));
    if (said.size() > kLineBytesMax) said.erase(0, said.size() - kLineBytesMax);
  }
  said.erase(said.find_last_not_of(" \n") + 1);
  return said.substr(said.rfind('\n') + 1);
}

}  // namespace

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

Result<void> run_program(const std::vector<std::string>& command,
                         const std::vector<std::string>& environment) {
  std::vector<std::string> all = environment;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view old = *entry;
    const std::string_view name = old.substr(0, old.find('=') + 1);
    const auto replaces = [&](const std::string& set) { return set.rfind(name, 0) == 0; };
    if (!std::ranges::any_of(environment, replaces)) all.emplace_back(old);
  }
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Error{ErrorCode::kIo, "cannot make a pipe"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_adddup2(&actions, fds[1], fd);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, command[0].c_str(), &actions, nullptr,
                                  pointers(command).data(), pointers(all).data());
  posix_spawn_file_actions_destroy(&actions);
  close(fds[1]);
  const std::string said = failed == 0 ? last_line(fds[0]) : "";
  close(fds[0]);
  if (failed != 0) {
    return Error{failed == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 "cannot run " + command[0] + ": " + std::strerror(failed)};
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{ErrorCode::kIo, said.empty() ? command[0] + " failed" : said};
}

}  // namespace wow
