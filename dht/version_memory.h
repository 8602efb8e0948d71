// The highest version that we have read of each owner's key: who answers with less is refused, so
// that a replica that lies or slept cannot roll a value back below what we saw. Bounded; entries
// end with their records' time to live.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "dht/record.h"

namespace wow::dht {

class VersionMemory {
 public:
  static constexpr std::size_t kEntriesMax = 8192;

  // 0: none seen.
  std::uint64_t seen(const std::string& key, const Address& owner, TimePoint now) const {
    const auto found = entries_.find({key, owner});
    return found != entries_.end() && now < found->second.until ? found->second.version : 0;
  }
  void note(const Value& value, TimePoint now) {
    auto [it, is_new] = entries_.try_emplace({value.key, value.owner});
    if (is_new) order_.push_back(it->first);
    if (value.version >= it->second.version) it->second = {value.version, now + value.lifetime()};
    if (order_.size() <= kEntriesMax) return;
    entries_.erase(order_.front());
    order_.pop_front();
  }
  // Another lineage has another history.
  void clear() {
    entries_.clear();
    order_.clear();
  }

 private:
  using Id = std::pair<std::string, Address>;
  struct Entry {
    std::uint64_t version = 0;
    TimePoint until{};
  };
  std::map<Id, Entry> entries_;
  std::deque<Id> order_;
};

}  // namespace wow::dht
