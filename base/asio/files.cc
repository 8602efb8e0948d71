#include "base/asio/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/asio/descriptor.h"

namespace wow {
namespace {

Error io_error(const std::string& what, const std::filesystem::path& path) {
  const ErrorCode code = errno == ENOENT   ? ErrorCode::kNotFound
                         : errno == EACCES ? ErrorCode::kPermission
                                           : ErrorCode::kIo;
  return Error{code, "cannot " + what + " " + path.string() + ": " + std::strerror(errno)};
}

bool write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return io_error("read", path);
  Bytes out;
  std::uint8_t chunk[16384];
  for (;;) {
    const ssize_t got = read(file.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("read", path);
    if (got == 0) return out;
    if (out.size() + static_cast<std::size_t>(got) > bytes_max) {
      return Error{ErrorCode::kExhausted, path.string() + " is larger than it can be"};
    }
    out.insert(out.end(), chunk, chunk + got);
  }
}

Result<void> write_file(const std::filesystem::path& path, ByteView bytes, mode_t mode) {
  const std::filesystem::path beside = path.string() + ".new";
  unlink(beside.c_str());
  {
    const Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.valid()) return io_error("write", beside);
    if (fchmod(file.get(), mode) != 0 || !write_all(file.get(), bytes) || fsync(file.get()) != 0) {
      const Error error = io_error("write", beside);
      unlink(beside.c_str());
      return error;
    }
  }
  if (rename(beside.c_str(), path.c_str()) != 0) {
    const Error error = io_error("replace", path);
    unlink(beside.c_str());
    return error;
  }
  return {};
}

}  // namespace wow
