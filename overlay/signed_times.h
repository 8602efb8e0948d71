// Which signed messages were seen before. It compares the times of one source with each other only:
// a clock that is wrong, or dead, must not keep anybody from joining or being heard. What nobody
// remembers may be replayed, so what that would cost has to be bounded otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"

namespace wow {

class SignedTimes {
 public:
  struct Limits {
    std::size_t sources;  // the one that was quiet longest is forgotten first
    std::size_t ids;      // of one source
    Duration reorder;     // older than the newest of its source by so much, and yet taken
    Duration memory;      // a clock that is set back silences a source so long
  };
  // Milliseconds since 1970 by the source's clock, right or wrong, and what names the message.
  struct Mark {
    std::int64_t sent_at = 0;
    std::uint64_t id = 0;
    auto operator<=>(const Mark&) const = default;
  };
  // Repeated: and of late. What comes once more when its source has long been quiet is old.
  enum class Age { kNew, kRepeated, kOld };

  explicit SignedTimes(const Limits& limits) : limits_(limits) {}

  Age age(const Address& source, const Mark& mark, TimePoint now) const;
  // It was taken. Only what is new may be remembered.
  void remember(const Address& source, const Mark& mark, TimePoint now);
  // Forgets who was quiet for as long as the memory lasts.
  void sweep(TimePoint now);
  std::size_t size() const { return sources_.size(); }

 private:
  struct Source {
    std::int64_t newest = 0;
    std::int64_t floor = 0;  // of what is not in `seen` any more
    std::vector<Mark> seen;  // the last few
    TimePoint heard{};
  };
  bool too_old(const Source& source, std::int64_t sent_at) const;

  Limits limits_;
  std::map<Address, Source> sources_;
};

}  // namespace wow
