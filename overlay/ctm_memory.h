// Which requests were seen before. It compares the times of one source with each other only: a
// clock that is wrong, or dead, must not keep anybody from joining. What nobody remembers may be
// replayed: it costs one bounded attempt to link, with a peer whose key must still answer.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "overlay/ctm.h"

namespace wow {

class CtmMemory {
 public:
  // Whether this request is neither a repetition nor clearly older than the newest of its source;
  // if so it is remembered. Bounded; the source that was quiet longest is forgotten first.
  bool is_new(const Ctm& ctm, TimePoint now);
  // Forgets who was quiet for kCtmMemory.
  void sweep(TimePoint now);
  std::size_t size() const { return sources_.size(); }

 private:
  struct Source {
    std::int64_t newest = 0;
    std::vector<std::pair<std::int64_t, std::uint64_t>> seen;  // time and id of the last few
    TimePoint heard{};
  };
  std::map<Address, Source> sources_;
};

}  // namespace wow
