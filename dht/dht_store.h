// Where a replica keeps what it promised: synced before it answers, or it must not answer. A file
// in the daemon (dht/asio/file_store.h), memory in tests. A lost file is a new incarnation, counted
// in no old epoch.
#pragma once

#include <functional>
#include <string>

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
};

}  // namespace wow
