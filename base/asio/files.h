// Small files as a whole: read, and replaced so that a reader sees the old or the new one, never
// half.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/error.h"

namespace wow {

// kNotFound if it does not exist; kExhausted if larger than `bytes_max`.
Result<Bytes> read_file(const std::filesystem::path& path,
                        std::size_t bytes_max = 16 * 1024 * 1024);
// Writes beside it, syncs, renames; `mode` as given whatever the umask.
Result<void> write_file(const std::filesystem::path& path, ByteView bytes, mode_t mode = 0600);

}  // namespace wow
