// A file with given bytes, for parsers that read files; gone at the end of its life.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"

namespace wow {

class TemporaryFile {
 public:
  explicit TemporaryFile(ByteView content) : path_(folder() / "input") {
    std::ofstream(path_, std::ios::binary) << to_string(content);
  }
  ~TemporaryFile() { std::filesystem::remove_all(path_.parent_path()); }
  TemporaryFile(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  // In memory: thousands are made.
  static std::filesystem::path folder() {
    const std::filesystem::path shared = "/dev/shm";
    const auto base =
        std::filesystem::exists(shared) ? shared : std::filesystem::temp_directory_path();
    const auto out = base / ("wow-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(out);
    return out;
  }
  const std::filesystem::path path_;
};

}  // namespace wow
