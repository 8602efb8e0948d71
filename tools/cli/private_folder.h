// A temporary folder that its owner alone can enter, and that goes with this object.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace wow {

class PrivateFolder {
 public:
  PrivateFolder() {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "wow-XXXXXX").string();
    if (!error && mkdtemp(name.data())) path_ = name;
  }
  ~PrivateFolder() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  PrivateFolder(const PrivateFolder&) = delete;

  // Empty if it could not be made.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace wow
