#include "tools/daemon/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>

namespace wow {

bool LogFile::take_stderr() const {
  // The folder belongs to the user that the daemon becomes: root follows no link from there.
  const int log = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (log < 0) return false;
  dup2(log, STDERR_FILENO);
  close(log);
  return true;
}

void LogFile::turn() const {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path_, error);
  if (error || bytes <= bytes_max_) return;
  std::filesystem::rename(path_, path_.string() + ".1", error);
  if (!error) take_stderr();
}

}  // namespace wow
