// The calls of Dht that the virtual network makes, as values: tests put a small table in its place.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dht/dht.h"

namespace wow {

struct DhtCalls {
  std::function<void(const std::string& key, Dht::Done, Dht::Likely)> look_up;
  std::function<void(const std::string& key, ByteView data, Duration ttl, Dht::Done)> create;
  std::function<void(const std::string& key, ByteView data, Duration ttl, Dht::Done)> put;
  std::function<void(const std::string& key, Dht::Done)> remove;
  std::function<void(const std::string& prefix, const Bytes& digest, Dht::Listed)> list;
};

// Answers that come after `alive` has expired are dropped: a Dht outlives those who ask it.
DhtCalls calls_of(Dht& dht, std::weak_ptr<void> alive);

}  // namespace wow
