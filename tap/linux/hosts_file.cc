#include "tap/linux/hosts_file.h"

#include <sys/stat.h>

#include <fstream>

#include "base/asio/files.h"

namespace wow {

std::string with_hosts_block(const std::string& text, const std::string& pool,
                             const std::string& lines) {
  const std::string begin = "# wow " + pool + " begin\n", end = "# wow " + pool + " end\n";
  std::string out = text;
  if (!out.empty() && out.back() != '\n') out += '\n';
  for (std::size_t from; (from = out.find(begin)) != std::string::npos;) {
    const std::size_t to = out.find(end, from);
    // An end that somebody removed: only the mark goes, no line of theirs.
    out.erase(from, to == std::string::npos ? begin.size() : to + end.size() - from);
  }
  if (!lines.empty()) out += begin + lines + end;
  return out;
}

Result<void> write_hosts_block(const std::string& path, const std::string& pool,
                               const std::string& lines) {
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
  if (!in_place) return Error{ErrorCode::kIo, "cannot write " + path};
  return {};
}

}  // namespace wow
