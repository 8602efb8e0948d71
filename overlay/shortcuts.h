// Edges for traffic: taken on the first packets of a flow, given back when it has been quiet.
#pragma once

#include <map>

#include "overlay/hub.h"

namespace wow {

class Shortcuts {
 public:
  explicit Shortcuts(Hub& hub) : hub_(hub) {}

  // `word`, if not empty, goes with requests from now.
  void want(const Address& peer, ByteView word);
  Bytes word(const Address& peer) const;
  // Every now and then: gives back what was idle for kShortcutIdle.
  void sweep();
  std::size_t size() const { return wanted_.size(); }

 private:
  struct Wanted {
    TimePoint at;  // when last
    Bytes word;
  };
  TimePoint last_use(const Address& peer, TimePoint wanted) const;
  void drop(const Address& peer);

  Hub& hub_;
  std::map<Address, Wanted> wanted_;
};

}  // namespace wow
