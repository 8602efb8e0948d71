// The log of a daemon in the background: its stderr, in a file (0600) that stays bounded. Control
// thread.
#pragma once

#include <cstdint>
#include <filesystem>

namespace wow {

class LogFile {
 public:
  static constexpr std::uintmax_t kBytesMax = 4 * 1024 * 1024;

  explicit LogFile(std::filesystem::path path, std::uintmax_t bytes_max = kBytesMax)
      : path_(std::move(path)), bytes_max_(bytes_max) {}

  // From now on stderr goes to its end. False if it cannot be opened: stderr is as before.
  bool take_stderr() const;
  // Once it has grown past its bound: it becomes PATH.1, in place of the one before, and stderr
  // goes to a new one. So two of them are kept.
  void turn() const;

 private:
  std::filesystem::path path_;
  std::uintmax_t bytes_max_;
};

}  // namespace wow
