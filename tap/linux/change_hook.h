// Runs the owner's program when the pool's names or addresses changed: it writes a scheduler's
// files anew, from `wow hosts`. The program keeps the rights that `wow up` was started with, which
// the daemon gives up; so it is run by a child forked before, to which the daemon says one thing
// only: "changed". Nothing that came from the network reaches the program but by its own question.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/error.h"
#include "tap/linux/helper_process.h"

namespace wow {

class ChangeHook {
 public:
  struct Limits {
    std::chrono::milliseconds run{60'000};  // a run that lasts longer is ended, with its children
    std::chrono::milliseconds pause{1000};  // from the end of one run to the start of the next
  };

  // Forks: call it before threads and sockets are made. `program` is run as "PROGRAM POOL" with
  // WOW_POOL in the environment, its output in the daemon's log. kInvalidArgument, kPermission with
  // a sentence if it is no absolute path of a program, or if others than root could change what
  // root shall run.
  static Result<std::unique_ptr<ChangeHook>> start(const std::string& pool,
                                                   const std::string& program, Limits limits);
  // Ends a run that is under way, and the child.
  ~ChangeHook();

  // Never waits. Changes during a run make one more run after it; false if the child is gone.
  bool changed();

 private:
  explicit ChangeHook(HelperProcess helper) : helper_(helper) {}

  const HelperProcess helper_;
};

}  // namespace wow
