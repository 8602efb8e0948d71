// Tells peers in which roles we use their edges, and hears the same from them. The whole set each
// time, repeated, since messages may be lost and an edge that only one side knows of is none.
#pragma once

#include <functional>

#include "overlay/hub.h"

namespace wow {

namespace pb {
class Roles;
}

class RoleTalk {
 public:
  // `changed` is called with every edge whose roles on either side became others.
  RoleTalk(Hub& hub, std::function<void(Edge&)> changed)
      : hub_(hub), changed_(std::move(changed)), repeat_(hub.clock) {}
  void stop() { repeat_.cancel(); }

  void take(Edge& edge, EdgeRole role);
  void drop(Edge& edge, EdgeRole role);
  // The peer begins anew and may not know: tells it once more.
  void remind(Edge& edge);
  void on_roles(const Address& from, const pb::Roles& message);

 private:
  void tell(Edge& edge);
  void repeat();

  Hub& hub_;
  std::function<void(Edge&)> changed_;
  Timer repeat_;
};

}  // namespace wow
