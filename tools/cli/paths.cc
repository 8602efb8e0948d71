#include "tools/cli/paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/daemon/privileges.h"

namespace wow {

namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Root, and the user that the daemon becomes or is started as.
bool is_system_user() {
  const auto daemon = find_user(kDaemonUser);
  return geteuid() == 0 || (daemon && daemon->uid == geteuid());
}

// The names of files "NAME.ending" in a folder, in order.
std::vector<std::string> names_in(const fs::path& folder, const char* ending) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ending) out.push_back(entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

fs::path xdg(const char* variable, const char* below_home) {
  const std::string set = environment(variable);
  return (set.empty() ? fs::path(environment("HOME")) / below_home : fs::path(set)) / "wow";
}

}  // namespace

Paths Paths::of_this_user() {
  if (const std::string root = environment("WOW_ROOT"); !root.empty()) {
    return {fs::path(root) / "etc", fs::path(root) / "lib", fs::path(root) / "run"};
  }
  if (is_system_user()) return {"/etc/wow", "/var/lib/wow", "/run/wow"};
  const fs::path config = xdg("XDG_CONFIG_HOME", ".config"),
                 state = xdg("XDG_STATE_HOME", ".local/state");
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  return {config, state, runtime.empty() ? state / "run" : fs::path(runtime) / "wow"};
}

fs::path Paths::socket(const std::string& pool) const {
  const fs::path own = runtime / (pool + ".sock"), system = fs::path("/run/wow") / (pool + ".sock");
  std::error_code ignored;
  return !fs::exists(own, ignored) && fs::exists(system, ignored) ? system : own;
}

std::vector<std::string> Paths::pools() const {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(state, error)) {
    if (fs::exists(entry.path() / "member", error)) out.push_back(entry.path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::string> Paths::choose_pool(const std::string& named) const {
  if (!named.empty()) {
    if (!is_valid_name(named)) {
      return Error{ErrorCode::kInvalidArgument,
                   "\"" + named + "\" cannot be a pool's name: a-z, 0-9 and - only"};
    }
    return named;
  }
  auto all = pools();
  // No member, but a pool's root may be here, or another user's daemon to ask.
  if (all.empty()) all = names_in(config, ".root");
  if (all.empty()) all = names_in("/run/wow", ".sock");
  if (all.size() == 1) return all.front();
  if (all.empty()) {
    return Error{ErrorCode::kNotFound,
                 "this machine is in no pool yet: `wow join INVITE` makes it a member"};
  }
  std::string list;
  for (const auto& pool : all) list += (list.empty() ? "" : ", ") + pool;
  return Error{ErrorCode::kInvalidArgument,
               "this machine is in several pools (" + list + "): name one with -p POOL"};
}

Result<void> make_directory(const fs::path& path, bool owner_only) {
  std::error_code error;
  // Whatever root's umask: the group must reach the control socket.
  const mode_t before = umask(022);
  fs::create_directories(path, error);
  umask(before);
  if (error)
    return Error{ErrorCode::kIo,
                 "cannot make the folder " + path.string() + ": " + error.message()};
  if (owner_only && chmod(path.c_str(), 0700) != 0) {
    return Error{ErrorCode::kPermission, "cannot protect the folder " + path.string()};
  }
  return {};
}

bool is_valid_name(const std::string& name) {
  if (name.empty() || name.size() > 63 || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace wow
