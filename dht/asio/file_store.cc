#include "dht/asio/file_store.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/log.h"

namespace wow {
namespace {

constexpr std::string_view kMagic = "WOWDHT2\n";
constexpr std::size_t kFrameHeader = 16, kEntryHeader = 8;
constexpr std::size_t kEntriesSum = 8, kHeaderSum = 4;  // bytes of SHA-256
constexpr std::uint64_t kSector = 512;                  // that a disk writes whole or not at all
constexpr std::size_t kFrameBytesMax = 64 * 1024 * 1024;
constexpr std::uint64_t kCompactFrom = 256 * 1024;  // smaller files are left alone
constexpr std::uint64_t kCompactRatio = 4;          // file to live bytes

Error failure(const std::string& what, const std::filesystem::path& path) {
  return {ErrorCode::kIo, "cannot " + what + " " + path.string() + ": " +
                              std::error_code(errno, std::generic_category()).message()};
}

Bytes checksum(ByteView bytes, std::size_t size) {
  Bytes digest(SHA256_DIGEST_LENGTH);
  SHA256(bytes.data(), bytes.size(), digest.data());
  digest.resize(size);
  return digest;
}

void add_entry(Writer& out, const std::string& key, ByteView value) {
  out.u32(static_cast<std::uint32_t>(key.size())).u32(static_cast<std::uint32_t>(value.size()));
  out.bytes(view_of(key)).bytes(value);
}

Bytes frame_of(ByteView entries) {
  Writer out;
  out.u32(static_cast<std::uint32_t>(entries.size())).bytes(checksum(entries, kEntriesSum));
  const Bytes header_sum = checksum(out.view(), kHeaderSum);
  return out.bytes(header_sum).bytes(entries).take();
}

bool write_fully(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool sync_folder(const std::filesystem::path& file) {
  auto folder = file.parent_path();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = fsync(fd) == 0;
  close(fd);
  return ok;
}

std::uint64_t entry_bytes(const std::string& key, std::size_t value_bytes) {
  return kEntryHeader + key.size() + value_bytes;
}

}  // namespace

Result<std::unique_ptr<FileStore>> FileStore::open(const std::filesystem::path& path) {
  std::unique_ptr<FileStore> store(new FileStore(path));
  if (auto done = store->open_file(); !done) return done.error();
  if (auto done = store->recover(); !done) return done.error();
  std::error_code ignored;
  store->was_shared_ = std::filesystem::exists(store->shared_path(), ignored);
  return store;
}

FileStore::~FileStore() {
  if (fd_ >= 0) close(fd_);
}

std::filesystem::path FileStore::shared_path() const {
  auto path = path_;
  path += ".shared";
  return path;
}

void FileStore::note_shared() {
  const auto path = shared_path();
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  was_shared_ = fd >= 0 && fsync(fd) == 0 && sync_folder(path);
  if (!was_shared_) log_warn("dht store: not noted", {{"why", failure("write", path).message}});
  if (fd >= 0) close(fd);
}

Result<void> FileStore::open_file() {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) return failure("open", path_);
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::kAlreadyExists, path_.string() + " is in use by another process"};
  }
  struct stat status;
  if (fstat(fd_, &status) != 0) return failure("examine", path_);
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  return {};
}

Result<void> FileStore::recover() {
  const std::uint64_t size = file_bytes_;
  const Scan found = scan();
  if (found == Scan::kDamaged) {
    log_error("dht store damaged: set aside, starting empty", {{"file", path_.string()}});
    auto aside = path_;
    aside += ".damaged";
    std::error_code error;
    std::filesystem::rename(path_, aside, error);
    if (error) return Error{ErrorCode::kIo, "cannot set aside " + path_.string()};
    close(std::exchange(fd_, -1));
    places_.clear();
    live_bytes_ = 0;
    if (auto done = open_file(); !done) return done.error();
  }
  if (file_bytes_ < size && ftruncate(fd_, static_cast<off_t>(file_bytes_)) != 0) {
    return failure("cut off the torn end of", path_);
  }
  if (file_bytes_ == 0) {
    if (!write_fully(fd_, view_of(kMagic))) return failure("write", path_);
    file_bytes_ = kMagic.size();
  }
  if (fsync(fd_) != 0 || !sync_folder(path_)) return failure("sync", path_);
  return {};
}

FileStore::Scan FileStore::scan() {
  const std::uint64_t size = std::exchange(file_bytes_, 0);
  const auto magic = read_at(0, kMagic.size());
  // Not even the first 8 bytes got to the disk: nothing was ever answered from here.
  if (!magic) return Scan::kTorn;
  if (text_of(*magic) != kMagic) return Scan::kDamaged;
  file_bytes_ = kMagic.size();
  while (file_bytes_ < size) {
    const auto header = read_at(file_bytes_, kFrameHeader);
    if (!header) return Scan::kTorn;
    Reader in(*header);
    const std::uint64_t length = in.u32();
    const ByteView sum = in.take(kEntriesSum);
    const ByteView summed = ByteView(*header).first(kFrameHeader - kHeaderSum);
    const std::uint64_t start = file_bytes_ + kFrameHeader, end = start + length;
    if (!std::ranges::equal(in.rest(), checksum(summed, kHeaderSum)) || length == 0 ||
        length > kFrameBytesMax) {
      return is_zero(start, size) ? Scan::kTorn : Scan::kDamaged;
    }
    if (end > size) return Scan::kTorn;
    const auto entries = read_at(start, length);
    if (!entries || !std::ranges::equal(sum, checksum(*entries, kEntriesSum))) {
      // Only a crash leaves the last frame's end unwritten.
      const std::uint64_t tail = std::max(start, (size - 1) / kSector * kSector);
      return end == size && is_zero(tail, size) ? Scan::kTorn : Scan::kDamaged;
    }
    note_entries(*entries, start);
    file_bytes_ = end;
  }
  return Scan::kWhole;
}

bool FileStore::is_zero(std::uint64_t from, std::uint64_t to) const {
  const auto bytes = read_at(from, to - from);
  return bytes && std::ranges::all_of(*bytes, [](std::uint8_t b) { return b == 0; });
}

void FileStore::note_entries(ByteView entries, std::uint64_t offset) {
  Reader in(entries);
  while (in.remaining() > 0) {
    const std::uint32_t key_bytes = in.u32(), value_bytes = in.u32();
    std::string key = to_string(in.take(key_bytes));
    in.take(value_bytes);
    if (!in.ok()) return;
    if (const auto old = places_.find(key); old != places_.end()) {
      live_bytes_ -= entry_bytes(key, old->second.bytes);
      places_.erase(old);
    }
    if (value_bytes == 0) continue;
    live_bytes_ += entry_bytes(key, value_bytes);
    places_[std::move(key)] = {offset + entries.size() - in.remaining() - value_bytes, value_bytes};
  }
}

std::optional<Bytes> FileStore::read_at(std::uint64_t offset, std::size_t bytes) const {
  Bytes out(bytes);
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n =
        pread(fd_, out.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    done += static_cast<std::size_t>(n);
  }
  return out;
}

void FileStore::load(const std::function<void(const std::string&, ByteView)>& each) {
  for (const auto& [key, place] : places_) {
    const auto value = read_at(place.offset, place.bytes);
    // What cannot be read may be a promise: then nothing may be promised any more.
    if (!value) return fail("read");
    each(key, *value);
  }
}

void FileStore::fail(const char* what) {
  failed_ = true;
  log_error("dht store failed", {{"why", failure(what, path_).message}});
}

bool FileStore::write(const std::string& key, ByteView value) {
  const Entry entry{key, to_bytes(value)};
  return write_all(std::span(&entry, 1));
}

bool FileStore::write_all(std::span<const Entry> entries) {
  if (entries.empty()) return !failed_;
  Writer out;
  for (const auto& [key, value] : entries) add_entry(out, key, value);
  const std::uint64_t offset = file_bytes_ + kFrameHeader;
  if (!append(frame_of(out.view()))) return false;
  note_entries(out.view(), offset);
  const bool is_bloated =
      file_bytes_ > kCompactFrom && file_bytes_ / kCompactRatio > live_bytes_ + kMagic.size();
  return !is_bloated || compact();
}

bool FileStore::append(ByteView frame) {
  if (failed_ || frame.size() > kFrameBytesMax) return false;
  if (!write_fully(fd_, frame) || fdatasync(fd_) != 0) {
    fail("write");
    return false;
  }
  file_bytes_ += frame.size();
  return true;
}

bool FileStore::compact() {
  auto temporary = path_;
  temporary += ".new";
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  // Renamed over the old file while both are locked, so that nobody gets in between.
  FileStore fresh(temporary);
  if (!fresh.open_file() || !write_fully(fresh.fd_, view_of(kMagic))) return true;  // later, then
  fresh.file_bytes_ = kMagic.size();
  for (const auto& [key, place] : places_) {
    const auto value = read_at(place.offset, place.bytes);
    Writer out;
    if (!value) return true;
    add_entry(out, key, *value);
    const Bytes frame = frame_of(out.view());
    if (!write_fully(fresh.fd_, frame)) return true;
    fresh.note_entries(out.view(), fresh.file_bytes_ + kFrameHeader);
    fresh.file_bytes_ += frame.size();
  }
  if (fsync(fresh.fd_) != 0 || rename(temporary.c_str(), path_.c_str()) != 0) return true;
  std::swap(fd_, fresh.fd_);
  places_.swap(fresh.places_);
  file_bytes_ = fresh.file_bytes_;
  live_bytes_ = fresh.live_bytes_;
  // Were the rename lost in a crash, so would all be that is written from now on.
  failed_ = !sync_folder(path_);
  return !failed_;
}

}  // namespace wow
