#include "tap/linux/hosts_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/asio/files.h"

namespace wow {
namespace {

// Keeps other pools' helpers from changing the file meanwhile. The folder is locked: the file
// itself is replaced.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : fd_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ >= 0) flock(fd_, LOCK_EX);
  }
  ~FolderLock() {
    if (fd_ >= 0) close(fd_);
  }
  FolderLock(const FolderLock&) = delete;

 private:
  int fd_;
};

}  // namespace

std::string with_hosts_block(const std::string& text, const std::string& pool,
                             const std::string& lines) {
  const std::string begin = "# wow " + pool + " begin\n", end = "# wow " + pool + " end\n";
  std::string out = text;
  for (std::size_t from; (from = out.find(begin)) != std::string::npos;) {
    const std::size_t to = out.find(end, from), next = out.find(begin, from + 1);
    // An end that somebody removed: only the mark goes, no line of theirs.
    const bool whole = to != std::string::npos && to < next;
    out.erase(from, whole ? to + end.size() - from : begin.size());
  }
  if (lines.empty()) return out;
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out + begin + lines + end;
}

Result<void> write_hosts_block(const std::string& link, const std::string& pool,
                               const std::string& lines) {
  std::error_code unresolved;
  const auto real = std::filesystem::canonical(link, unresolved);
  const std::filesystem::path path = unresolved ? std::filesystem::path(link) : real;
  const FolderLock lock(path.parent_path());
  const auto before = read_file(path);
  if (!before && before.error().code != ErrorCode::kNotFound) return before.error();
  const std::string old = before ? to_string(*before) : "";
  const std::string text = with_hosts_block(old, pool, lines);
  if (text == old) return {};
  struct stat info {};
  const mode_t mode = stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0644;
  if (write_file(path, view_of(text), mode)) return {};
  std::ofstream in_place(path, std::ios::trunc);
  in_place << text;
  in_place.flush();
  if (!in_place) return Error{ErrorCode::kIo, "cannot write " + path.string()};
  return {};
}

}  // namespace wow
