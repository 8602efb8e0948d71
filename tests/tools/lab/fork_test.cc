// Children that must not outlive who made them: one that did would hold a laboratory for good.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "tools/lab/linux/system.h"

namespace wow::lab {
namespace {

TEST(ForkBound, TheChildEndsWithItsParentHoweverSoon) {
  for (int i = 0; i < 100; ++i) {
    Pipe pipe = make_pipe();
    const pid_t middle = fork_to([] {
      fork_bound([]() -> int {
        alarm(20);  // if it is forgotten
        for (;;) pause();
      });
      return 0;
    });
    pipe.write.reset();
    wait_for(middle);
    // The child's is the last other end.
    pollfd ended{pipe.read.get(), POLLIN, 0};
    ASSERT_EQ(poll(&ended, 1, 10'000), 1) << "child " << i << " lives on";
  }
}

}  // namespace
}  // namespace wow::lab
