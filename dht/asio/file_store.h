// The replica's store as one append-only file: each write is a frame with its checksum, on the disk
// before write() returns; a frame torn by a crash is the last one and is dropped at the next start.
// Rewritten when most of it is history. Control thread only; one process (the file is locked).
//
// | "WOWDHT2\n" 8 | frames |, frame: | length 4 | first 8 bytes of SHA-256 over the entries | first
// 4 of SHA-256 over these 12 | entries |, entry: | key bytes 4 | value bytes 4 | key | value |. The
// header's own sum tells a damaged length, which hides synced frames, from a frame that a crash
// cut.
#pragma once

#include <filesystem>
#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "dht/dht_store.h"

namespace wow {

class FileStore final : public DhtStore {
 public:
  // Makes the file (mode 0600) if there is none. kIo: what the system said; kAlreadyExists: another
  // process has it. A file whose frames are damaged elsewhere than at the end is set aside as
  // PATH.damaged, and the store starts empty: its replica must not pretend to remember.
  static Result<std::unique_ptr<FileStore>> open(const std::filesystem::path& path);
  ~FileStore() override;

  void load(const std::function<void(const std::string& key, ByteView value)>& each) override;
  // After a failed write the store stays failed: what the disk holds is unknown.
  bool write(const std::string& key, ByteView value) override;
  bool write_all(std::span<const Entry> entries) override;

  // A file beside, PATH.shared: whoever removes both makes the node a stranger to its pool's past.
  bool was_shared() const override { return was_shared_; }
  void note_shared() override;

  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  struct Place {  // of a value in the file
    std::uint64_t offset;
    std::uint32_t bytes;
  };
  using Places = std::unordered_map<std::string, Place>;
  enum class Scan { kWhole, kTorn, kDamaged };

  explicit FileStore(std::filesystem::path path) : path_(std::move(path)) {}
  Result<void> open_file();
  Result<void> recover();
  Scan scan();
  bool is_zero(std::uint64_t from, std::uint64_t to) const;
  bool append(ByteView frame);
  void fail(const char* what);
  bool compact();
  void note_entries(ByteView entries, std::uint64_t offset);
  std::optional<Bytes> read_at(std::uint64_t offset, std::size_t bytes) const;

  std::filesystem::path shared_path() const;

  std::filesystem::path path_;
  int fd_ = -1;
  bool failed_ = false;
  bool was_shared_ = false;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t live_bytes_ = 0;
  Places places_;
};

}  // namespace wow
