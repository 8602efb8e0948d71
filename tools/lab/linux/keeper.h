// The process that a laboratory hangs on: the first of namespaces of its own (processes, mounts,
// network, IPC, host name). Whatever is made in them ends with it, even by kill -9: nothing of a
// laboratory is ever in the machine's own network or on its disk. It is found by a line in
// /run/wow-lab/NAME, which the next `up` of that name replaces if it is stale.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/lab/linux/system.h"

namespace wow::lab {

// Where everything of a laboratory lies, as seen inside: on a tmpfs of its own.
inline const std::filesystem::path kLabFolder = "/run/lab";

// A keeper that runs, and its namespaces from where the caller stands.
class Keeper {
 public:
  // Starts one. It ends when this object does, unless `detach` was called.
  static Keeper start(const std::string& name);
  // The one that is running under this name; none: nothing runs. With an empty name the only one;
  // throws if there are several.
  static std::optional<Keeper> find(const std::string& name);
  // The one whose namespaces the caller is in, if it is in any.
  static std::optional<Keeper> around_us();
  // All that run here.
  static std::vector<Keeper> all();

  Keeper(Keeper&&) = default;
  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }

  // A path of the laboratory as the caller can open it.
  std::filesystem::path path(const std::filesystem::path& inside) const;
  // Runs `body` in the laboratory, in a process of its own; its status.
  int run_inside(const std::function<int()>& body) const;
  // Runs a command in the laboratory's namespaces, outside any host, in this process's place; its
  // status.
  int run_command(const std::vector<std::string>& command) const;
  // From now on it lives until `end`; remembered by its name.
  void detach();
  // Remembered by its name, without being detached, so that others find it. Best effort.
  void announce() const;
  // Kills it and all that is in it; returns when it is gone.
  void end() const;

 private:
  Keeper(std::string name, pid_t pid) : name_(std::move(name)), pid_(pid) {}
  void enter() const;

  std::string name_;
  pid_t pid_ = 0;  // 0: we are inside
  Fd leash_;       // the keeper ends when this is closed
};

// Throws CannotRunHere, in a sentence that names the cure, unless a laboratory could start.
void check_laboratory_can_run();

}  // namespace wow::lab
