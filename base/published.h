// A table that one thread replaces and others read without a lock: an atomic pointer to an
// immutable snapshot. The old one is freed after every reader has passed a quiet point
// (quiescent-state reclamation, as in RCU).
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace wow {

template <typename Table>
class Published {
 public:
  explicit Published(int readers) : seen_(readers) {
    current_.store(new Table(), std::memory_order_release);
  }
  ~Published() {
    delete current_.load();
    for (auto& old : retired_) delete old.table;
  }
  Published(const Published&) = delete;

  // Owner thread only. Frees what no reader can still hold.
  void publish(std::unique_ptr<const Table> next) {
    const Table* old = current_.exchange(next.release(), std::memory_order_seq_cst);
    retired_.push_back({old, epoch_.fetch_add(1, std::memory_order_seq_cst) + 1});
    collect();
  }
  const Table& latest() const { return *current_.load(std::memory_order_relaxed); }
  void collect() {
    std::uint64_t oldest = UINT64_MAX;
    for (auto& slot : seen_) oldest = std::min(oldest, slot.epoch.load(std::memory_order_seq_cst));
    std::erase_if(retired_, [&](const Old& old) {
      if (old.epoch > oldest) return false;
      delete old.table;
      return true;
    });
  }

  // Reader thread `reader`: valid until its next quiet().
  const Table& read() const { return *current_.load(std::memory_order_seq_cst); }
  // Reader thread `reader`: says that it holds no reference now. Called once a batch; also before
  // it sleeps.
  void quiet(int reader) {
    seen_[reader].epoch.store(epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
  }
  // A reader that sleeps holds nothing, however long; it calls awake() before it reads again. All
  // begin asleep.
  void asleep(int reader) { seen_[reader].epoch.store(UINT64_MAX, std::memory_order_seq_cst); }
  void awake(int reader) { quiet(reader); }

 private:
  struct Old {
    const Table* table;
    std::uint64_t epoch;
  };
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> epoch{UINT64_MAX};
  };
  std::atomic<const Table*> current_;
  std::atomic<std::uint64_t> epoch_{0};
  std::vector<Slot> seen_;
  std::vector<Old> retired_;
};

}  // namespace wow
