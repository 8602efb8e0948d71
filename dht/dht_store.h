// Where a replica keeps what it promised: synced before it answers, or it must not answer. A file
// in the daemon (dht/asio/file_store.h), memory in tests. A lost file is a new incarnation, counted
// in no old epoch.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace wow {

class DhtStore {
 public:
  virtual ~DhtStore() = default;
  // All entries that survive, in any order; called once, at start.
  virtual void load(const std::function<void(const std::string& key, ByteView value)>& each) = 0;
  // Durable when it returns true. Keys and values are the replica's own business; an empty value
  // removes the key.
  virtual bool write(const std::string& key, ByteView value) = 0;

  // Whether this node has ever known a group that others had a part in. Kept apart from the
  // entries: who lost those, but not this, must not take its pool for a new one. Noted durably; a
  // failure is the store's to report, and mended by the next call.
  virtual bool was_shared() const = 0;
  virtual void note_shared() = 0;

  using Entry = std::pair<std::string, Bytes>;
  // The same for several entries, all of them or, after a crash, maybe the first few.
  virtual bool write_all(std::span<const Entry> entries) {
    return std::all_of(entries.begin(), entries.end(),
                       [this](const Entry& entry) { return write(entry.first, entry.second); });
  }
};

}  // namespace wow
