// When what readers may still look at can be freed: each says now and then that it holds nothing
// (quiescent-state reclamation, as in RCU). One thread changes, a fixed number of others read
// without a lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace wow {

class QuietPoints {
 public:
  explicit QuietPoints(int readers) : seen_(static_cast<std::size_t>(readers)) {}
  ~QuietPoints() {
    for (const Old& old : retired_) old.destroy(old.object);
  }
  QuietPoints(const QuietPoints&) = delete;

  // Owner thread only. `object` can no longer be found by readers; it is freed once none can still
  // hold it.
  template <typename Object>
  void retire(std::unique_ptr<const Object> object) {
    retired_.push_back({object.release(),
                        [](const void* old) { delete static_cast<const Object*>(old); },
                        epoch_.fetch_add(1, std::memory_order_seq_cst) + 1});
    collect();
  }
  // Owner thread only. Frees what no reader can still hold.
  void collect() {
    std::uint64_t oldest = UINT64_MAX;
    for (auto& slot : seen_) oldest = std::min(oldest, slot.epoch.load(std::memory_order_seq_cst));
    std::erase_if(retired_, [&](const Old& old) {
      if (old.epoch > oldest) return false;
      old.destroy(old.object);
      return true;
    });
  }
  bool has_retired() const { return !retired_.empty(); }

  // Reader thread `reader`: says that it holds no reference now. Called once a batch; also before
  // it sleeps.
  void quiet(int reader) {
    slot(reader).store(epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
  }
  // A reader that sleeps holds nothing, however long; it calls awake() before it reads again. All
  // begin asleep.
  void asleep(int reader) { slot(reader).store(UINT64_MAX, std::memory_order_seq_cst); }
  void awake(int reader) {
    quiet(reader);
    // Whoever retired something and still saw us asleep did so before this load, so that it shows
    // us what took its place.
    static_cast<void>(epoch_.load(std::memory_order_seq_cst));
  }

 private:
  struct Old {
    const void* object;
    void (*destroy)(const void*);
    std::uint64_t epoch;
  };
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> epoch{UINT64_MAX};
  };
  std::atomic<std::uint64_t>& slot(int reader) {
    return seen_[static_cast<std::size_t>(reader)].epoch;
  }

  std::atomic<std::uint64_t> epoch_{0};
  std::vector<Slot> seen_;
  std::vector<Old> retired_;
};

}  // namespace wow
