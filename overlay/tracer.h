// The way that routed packets take to a member, hop by hop: a question with hop limit 1, then 2,
// ..., each answered by the node where it ends, as traceroute does with the TTL (RFC 792).
#pragma once

#include <functional>
#include <map>

#include "overlay/introducer.h"

namespace wow {

class Tracer {
 public:
  using Done = std::function<void(std::vector<TraceStep>)>;
  Tracer(Hub& hub, Introducer& introducer, Forwarder& forwarder)
      : hub_(hub), introducer_(introducer), forwarder_(forwarder) {}

  // Calls `done` once, never from inside this call: with the hops up to the target, or up to where
  // the way is lost; nothing if too many traces are under way. `target` must be another node.
  void trace(const Address& target, Done done);
  void stop() { runs_.clear(); }

 private:
  struct Run {
    Address target;
    Done done;
    std::vector<TraceStep> steps;
    TraceNext next;  // whom the last node that answered would ask
    int silent = 0;  // in a row
  };

  void ask(std::uint32_t id);
  void on_answer(std::uint32_t id, const std::optional<Introducer::Traced>& answer);
  void finish(std::uint32_t id);

  Hub& hub_;
  Introducer& introducer_;
  Forwarder& forwarder_;
  std::map<std::uint32_t, Run> runs_;
  std::uint32_t next_run_ = 0;
};

}  // namespace wow
