// A hash table that one thread changes while others read it without a lock: slots of 16 bytes, four
// to a cache line, that point to immutable entries. A change replaces one pointer; what it replaced
// is freed when every reader has been quiet. Once it is half full it is made twice as large, which
// is a constant for each entry that ever came.
#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/quiet_points.h"

namespace wow {

template <typename Entry>
class SharedTable {
 public:
  explicit SharedTable(QuietPoints& readers) : readers_(readers), slots_(new Slots(kSlotsMin)) {}
  ~SharedTable() {
    const Slots* slots = slots_.load();
    for (std::size_t i = 0; i <= slots->mask; ++i) delete slots->at[i].entry.load();
    delete slots;
  }
  SharedTable(const SharedTable&) = delete;

  // Any reader: valid until it is quiet. Null: there is none.
  const Entry* find(std::uint64_t key) const {
    const Slots& slots = *slots_.load(std::memory_order_acquire);
    for (std::size_t i = slots.first(key);; i = (i + 1) & slots.mask) {
      const std::uint64_t there = slots.at[i].key.load(std::memory_order_acquire);
      if (there == key) return slots.at[i].entry.load(std::memory_order_acquire);
      if (there == 0) return nullptr;
    }
  }

  // The owner's thread only. `key`: not 0.
  void set(std::uint64_t key, Entry entry) {
    replace(place_for(key), key, std::make_unique<const Entry>(std::move(entry)));
  }
  void erase(std::uint64_t key) {
    Slot& slot = place_for(key);
    if (slot.entry.load(std::memory_order_relaxed) != nullptr) replace(slot, key, nullptr);
  }
  std::size_t size() const { return size_; }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    const Slots& slots = *slots_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i <= slots.mask; ++i) {
      const Entry* entry = slots.at[i].entry.load(std::memory_order_relaxed);
      if (entry != nullptr) visit(slots.at[i].key.load(std::memory_order_relaxed), *entry);
    }
  }

 private:
  static constexpr std::size_t kSlotsMin = 16;

  // A key stays in its slot; without an entry it was erased, and the slot is its own again if it
  // comes back.
  struct Slot {
    std::atomic<std::uint64_t> key{0};
    std::atomic<const Entry*> entry{nullptr};
  };
  struct Slots {
    explicit Slots(std::size_t count)
        : mask(count - 1), shift(64 - std::countr_zero(count)), at(new Slot[count]) {}
    // Fibonacci hashing (Knuth, 6.4): the high bits of the product depend on all of the key's.
    std::size_t first(std::uint64_t key) const { return key * 0x9e3779b97f4a7c15u >> shift; }
    const std::size_t mask;
    const int shift;
    const std::unique_ptr<Slot[]> at;
  };

  // The key's own slot, or the one that it would get.
  Slot& place_for(std::uint64_t key) {
    assert(key != 0);
    const Slots& slots = *slots_.load(std::memory_order_relaxed);
    std::size_t i = slots.first(key);
    for (;; i = (i + 1) & slots.mask) {
      const std::uint64_t there = slots.at[i].key.load(std::memory_order_relaxed);
      if (there == key || there == 0) return slots.at[i];
    }
  }
  void replace(Slot& slot, std::uint64_t key, std::unique_ptr<const Entry> entry) {
    const bool had_key = slot.key.load(std::memory_order_relaxed) != 0;
    size_ += entry != nullptr;
    std::unique_ptr<const Entry> old(
        slot.entry.exchange(entry.release(), std::memory_order_seq_cst));
    // After its entry: a reader that sees the key sees what it leads to.
    if (!had_key) slot.key.store(key, std::memory_order_release);
    if (old) {
      --size_;
      readers_.retire(std::move(old));
    }
    if (!had_key && 2 * ++used_ > slots_.load(std::memory_order_relaxed)->mask) rebuild();
  }
  // Three slots and more for each entry, so that half as many changes as there are entries come
  // before the next time; without the keys that were erased.
  void rebuild() {
    const Slots* const before = slots_.load(std::memory_order_relaxed);
    auto after = std::make_unique<Slots>(std::max(kSlotsMin, std::bit_ceil(3 * size_)));
    for_each([&](std::uint64_t key, const Entry& entry) {
      std::size_t i = after->first(key);
      while (after->at[i].key.load(std::memory_order_relaxed) != 0) i = (i + 1) & after->mask;
      after->at[i].key.store(key, std::memory_order_relaxed);
      after->at[i].entry.store(&entry, std::memory_order_relaxed);
    });
    used_ = size_;
    slots_.store(after.release(), std::memory_order_seq_cst);
    readers_.retire(std::unique_ptr<const Slots>(before));
  }

  QuietPoints& readers_;
  std::size_t size_ = 0;  // entries
  std::size_t used_ = 0;  // keys, those erased included
  std::atomic<const Slots*> slots_;
};

}  // namespace wow
