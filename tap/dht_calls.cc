#include "tap/dht_calls.h"

#include <utility>

namespace wow {
namespace {

template <typename... Answer>
std::function<void(Answer...)> guarded(std::weak_ptr<void> alive,
                                       std::function<void(Answer...)> done) {
  return [alive = std::move(alive), done = std::move(done)](Answer... answer) {
    if (!alive.expired()) done(std::move(answer)...);
  };
}

}  // namespace

DhtCalls calls_of(Dht& dht, std::weak_ptr<void> alive) {
  return {
      .look_up =
          [&dht, alive](auto& key, auto done, auto likely) {
            if (likely) likely = guarded(alive, std::move(likely));
            dht.look_up(key, guarded(alive, std::move(done)), std::move(likely));
          },
      .create = [&dht, alive](
                    auto& key, ByteView data, Duration ttl,
                    auto done) { dht.create(key, data, ttl, guarded(alive, std::move(done))); },
      .put = [&dht, alive](auto& key, ByteView data, Duration ttl,
                           auto done) { dht.put(key, data, ttl, guarded(alive, std::move(done))); },
      .remove = [&dht, alive](auto& key,
                              auto done) { dht.remove(key, guarded(alive, std::move(done))); },
      .list = [&dht, alive](
                  auto& prefix, auto& digest,
                  auto done) { dht.look_up_all(prefix, digest, guarded(alive, std::move(done))); },
  };
}

}  // namespace wow
