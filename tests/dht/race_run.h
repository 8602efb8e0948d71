// One run from a seed: nodes race for keys while the network and the nodes fail in every way that
// rule 10 of docs/dht.md allows for, and what each was told is kept as the keys' histories. Then
// everything is healed, and must work.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/dht/fake_pool.h"
#include "tests/dht/linearizability.h"
#include "tests/dht/majority_watch.h"
#include "tests/dht/race_counts.h"

namespace wow {

class RaceRun {
 public:
  RaceRun(std::uint64_t seed, int races);

  // What was wrong first; empty if nothing.
  const std::string& run();
  const RaceCounts& counts() const { return counts_; }

 private:
  // Which faults this run has.
  struct Faults {
    bool crashes = false, amnesia = false, partitions = false, pauses = false, frozen = false;
    bool long_cuts = false;  // of a majority, for longer than a lineage lasts without one
  };
  struct Entry {
    Operation operation;
    int life = 0;          // of the client
    dht::Lineage lineage;  // that answered
    Duration paused_before{}, frozen_before{};
    TimePoint hold_ends{};  // by the holder's own clock, unless it was ended before
    bool is_held = false;
  };
  using History = std::vector<Entry>;

  void begin_race(int number);
  void act_on_some_key();
  bool may_start(const std::string& key, int node);
  void list(int node);
  void start(const std::string& key, Operation::Kind kind, int node);
  void on_answer(const std::string& key, std::size_t index, const Result<DhtRecord>& answer);
  void take_error(Operation& operation, const Error& error);
  void begin_hold(const std::string& key, std::size_t index);
  void end_holds(const std::string& key, int node);
  bool is_holding(const Entry& entry) const;

  void disturb();
  void crash_one();
  void restart_one();
  void part();
  void pause_one();
  void resume_one();
  void heal();
  void run_until_resolved(Duration limit);
  void check_answered();
  void check_agreement();
  void check_histories();
  void check_history(const std::string& key, const dht::Lineage& lineage);
  std::string text_of(const std::string& key) const;
  void fail(const std::string& what);

  int random_node() { return static_cast<int>(pool_.random.below(pool_.size())); }
  Duration random_up_to(Duration most);
  bool draw(double probability) { return pool_.random.unit() < probability; }
  bool is_able(int node) const { return pool_.is_up(node) && !pool_.is_paused(node); }

  const int races_;
  FakePool pool_;
  MajorityWatch watch_;
  Faults faults_;
  std::vector<int> side_;
  std::map<std::string, History> histories_;
  std::vector<std::string> recent_;  // keys in use
  std::map<int, TimePoint> resume_at_, restart_at_;
  std::vector<int> lives_;
  TimePoint part_ends_{};
  dht::Lineage answering_;  // of the message that is being taken
  std::uint64_t last_data_ = 0;
  std::string failure_;
  RaceCounts counts_;
};

}  // namespace wow
