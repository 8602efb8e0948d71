// Where things lie: system folders for root and for the daemon's user, XDG folders for everybody
// else; $WOW_ROOT moves all of them (tests).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace wow {

struct Paths {
  std::filesystem::path config;   // /etc/wow: POOL.conf, and POOL.root where the pool was made
  std::filesystem::path state;    // /var/lib/wow: POOL/member and what the daemon remembers
  std::filesystem::path runtime;  // /run/wow: POOL.sock

  static Paths of_this_user();

  std::filesystem::path config_file(const std::string& pool) const {
    return config / (pool + ".conf");
  }
  std::filesystem::path root_file(const std::string& pool) const {
    return config / (pool + ".root");
  }
  std::filesystem::path member_directory(const std::string& pool) const { return state / pool; }
  std::filesystem::path member_file(const std::string& pool) const {
    return state / pool / "member";
  }
  // Also looks where the system's daemon would be, so that an ordinary user can ask it.
  std::filesystem::path socket(const std::string& pool) const;

  // Pools that this machine is a member of.
  std::vector<std::string> pools() const;
  // The named pool; or the only one there is. The error says what to type.
  Result<std::string> choose_pool(const std::string& named) const;
};

// Makes a folder and its parents, mode 0755; with `owner_only` the last one 0700.
Result<void> make_directory(const std::filesystem::path& path, bool owner_only);

// [a-z0-9-]{1,63}, as in DNS, not starting or ending with '-'.
bool is_valid_name(const std::string& name);

}  // namespace wow
