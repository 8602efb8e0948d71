// Asks a member of the ring from three fresh sockets where it sees them: how our NAT chooses ports,
// and which comes next. The questions are those of `wow doctor` (nat/nat_question.h).
#pragma once

#include <array>
#include <functional>

#include "nat/port_choice.h"
#include "overlay/hub.h"
#include "tunnel/pool_seal.h"

namespace wow {

class PortSurvey {
 public:
  struct Handlers {
    std::function<std::uint8_t()> fresh_socket;
    std::function<void(const PortReport& report)> done;  // kUnknown: nobody answered
  };
  PortSurvey(Hub& hub, Handlers handlers);
  void stop() { timer_.cancel(); }

  // Unless one is under way.
  void begin();
  // An answer, at a socket that is not the node's own.
  void on_packet(MutableBytes packet, const Endpoint& from);

 private:
  static constexpr std::size_t kQuestions = 3;
  struct Question {
    std::uint64_t token = 0;
    Endpoint to;
    Endpoint seen;
  };

  void ask();
  void end(const PortReport& report);
  std::optional<Endpoint> witness();

  Hub& hub_;
  Handlers handlers_;
  PoolSeal seal_;
  std::array<Question, kQuestions> questions_;
  int tries_ = 0;  // 0: none is under way
  Timer timer_;
};

}  // namespace wow
