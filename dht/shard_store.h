// One shard's part of the node's store: its entries behind a tag. The first shard's have none, as
// there was a time when it was the only one. While a batch is open, writes wait for its end: then
// all go to the disk at once, and nobody may have heard of any before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dht/dht_store.h"

namespace wow::dht {

class StoreBatch {
 public:
  explicit StoreBatch(DhtStore& store) : store_(store) {}

  bool write_all(std::span<const DhtStore::Entry> entries) {
    if (!is_open_) return store_.write_all(entries);
    waiting_.insert(waiting_.end(), entries.begin(), entries.end());
    return true;
  }
  bool was_shared() const { return store_.was_shared(); }
  void note_shared() { store_.note_shared(); }
  void open() { is_open_ = true; }
  void close() {
    is_open_ = false;
    if (!waiting_.empty()) store_.write_all(waiting_);
    waiting_.clear();
  }

 private:
  DhtStore& store_;
  bool is_open_ = false;
  std::vector<DhtStore::Entry> waiting_;
};

class ShardStore final : public DhtStore {
 public:
  static constexpr char kTag = 's';  // no entry of the first shard begins with it

  ShardStore(StoreBatch& batch, std::uint32_t shard) : batch_(batch) {
    if (shard == 0) return;
    tag_ = {kTag, static_cast<char>(shard >> 8), static_cast<char>(shard & 0xff)};
  }

  // Entries come to a shard by way of Shard::load.
  void load(const std::function<void(const std::string&, ByteView)>&) override {}
  bool was_shared() const override { return batch_.was_shared(); }
  void note_shared() override { batch_.note_shared(); }
  bool write(const std::string& key, ByteView value) override {
    const Entry entry{tag_ + key, to_bytes(value)};
    return batch_.write_all(std::span(&entry, 1));
  }
  bool write_all(std::span<const Entry> entries) override {
    if (tag_.empty()) return batch_.write_all(entries);
    std::vector<Entry> tagged(entries.begin(), entries.end());
    for (Entry& entry : tagged) entry.first.insert(0, tag_);
    return batch_.write_all(tagged);
  }

  // The shard of an entry, and its key there; nothing if malformed.
  static std::optional<std::pair<std::uint32_t, std::string>> split(const std::string& key) {
    if (key.empty() || key[0] != kTag) return std::pair(0u, key);
    if (key.size() < 3) return std::nullopt;
    const std::uint32_t shard = static_cast<std::uint32_t>(static_cast<std::uint8_t>(key[1])) << 8 |
                                static_cast<std::uint8_t>(key[2]);
    return std::pair(shard, key.substr(3));
  }

 private:
  StoreBatch& batch_;
  std::string tag_;
};

}  // namespace wow::dht
