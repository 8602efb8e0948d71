// One laboratory of the grid: a pool of public routers that stays, and pairs of hosts, fresh ones
// for each measurement. Runs inside its laboratory (Keeper::run_inside).
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tools/lab/grid.h"
#include "tools/lab/linux/system.h"

namespace wow::lab {

struct GridCellOptions {
  // Enough that two hosts need not be neighbours on the ring, who would have met before.
  std::size_t routers = 12;
  std::chrono::milliseconds watch{4000};  // for a direct path
};

class GridCell {
 public:
  // Makes the pool; throws if its routers do not find together.
  explicit GridCell(const GridCellOptions& options);

  GridRow measure(const GridKind& from, const GridKind& to);

 private:
  // A program that was started in a node, and what it says.
  struct Running {
    pid_t pid;
    Fd output;
  };
  struct Said {
    int status;
    std::string text;
  };
  // Whether hosts in a kind of network come up at all.
  struct Joins {
    int tried = 0, worked = 0;
    void count(bool success) {
      ++tried;
      worked += success ? 1 : 0;
    }
    bool never() const { return worked == 0 && tried >= kJoinTries; }
  };
  static constexpr int kJoinTries = 4;
  static Running begin(const std::string& node, const std::vector<std::string>& command);
  static Said end(const Running& running);
  static Said run(const std::string& node, const std::vector<std::string>& command);

  // Makes host `a` or `b` a member under a new key; its address on the ring.
  std::string join(const std::string& host);
  // So that the ring does not make them neighbours.
  bool are_far_apart(const std::string& a, const std::string& b) const;
  void join_apart();
  // Starts both; the name of one that does not come up, or empty.
  std::string bring_up(GridRow& row, const GridKind& from, const GridKind& to);
  std::vector<std::string> up_command(const GridKind& kind) const;
  bool have_met() const;
  void watch_traffic(GridRow& row);
  void remove_pair(const Topology& pair);

  GridCellOptions options_;
  std::vector<std::string> ring_;  // addresses of the routers
  std::string proxy_;              // its address on the internet
  std::vector<Running> proxies_;   // they end with the laboratory
  std::string address_a_, address_b_;
  std::map<std::string, Joins> joined_;  // by kind
};

}  // namespace wow::lab
