// Sends Connect-To-Me requests, answers those of others, and hands replies to whom they are for.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "overlay/ctm.h"
#include "overlay/forwarder.h"
#include "overlay/hub.h"
#include "overlay/signed_times.h"

namespace wow {

class Introducer {
 public:
  using Located = std::function<void(std::optional<Address>)>;
  // Who answered, after which round trip, and whom it would ask next.
  struct Traced {
    Address node;
    Duration round_trip{};
    std::optional<TraceNext> next;
  };
  using TracedDone = std::function<void(std::optional<Traced>)>;
  // What happens with CTMs beyond answering them.
  struct Handlers {
    // Somebody wants to link with us, or answered a request of ours to exactly them.
    std::function<void(const Ctm& ctm)> asked;
    std::function<void(const Ctm& ctm)> answered;
    // The node nearest to what we asked for, and for which role.
    std::function<void(const Member& found, EdgeRole role)> found;
    // Members near us, told in a reply.
    std::function<void(const std::vector<Member>& members)> heard_of;
    // Whether one more edge in this role is welcome.
    std::function<bool(EdgeRole role)> accepts;
    // Members that we know near `target`.
    std::function<std::vector<Member>(const Address& target)> neighbours;
    // Members that we have direct paths to, quickest first, without endpoints.
    std::function<std::vector<Member>()> direct_peers;
    // What a request for a shortcut to `peer` says beside.
    std::function<Bytes(const Address& peer)> word;
  };
  Introducer(Hub& hub, Forwarder& forwarder, Handlers handlers)
      : hub_(hub), forwarder_(forwarder), handlers_(std::move(handlers)), sweep_(hub.clock) {}

  // To exactly `peer`.
  void ask(const Address& peer, EdgeRole role);
  // To whoever is nearest to `target`, by way of `first_hop` (zero: by routing).
  void ask_nearest(const Address& target, EdgeRole role, const Address& first_hop,
                   bool only_strangers);
  // For our own place on another ring, through a member of ours that stands on both.
  void ask_through(const Address& gateway);
  // Who is nearest to `target` (maybe we), by way of `first_hop` (zero: by routing); nothing after
  // kLocateLimit. Never from inside this call.
  void locate(const Address& target, const Address& first_hop, Located done);
  // Who is `hops` hops away on the way to `target`; nothing after kTraceLimit without an answer.
  // Never from inside this call.
  void trace(const Address& target, std::uint8_t hops, TracedDone done);
  // From anybody, handed to us by `ingress`.
  void on_ctm(ByteView payload, const Address& ingress);
  // A CTM whose hop limit ends here: answered if it is a trace. `next`: where it would have gone.
  void on_expired(ByteView payload, const TraceNext& next);
  void stop() { sweep_.cancel(); }
  // Every now and then: forgets who asked long ago.
  void forget_old();
  std::size_t pending() const { return requests_.size(); }

 private:
  struct Request {
    bool exact = false;
    bool locate = false;
    bool only_strangers = false;
    EdgeRole role = EdgeRole::kNone;
    Address target;
    Address first_hop;  // zero: by routing
    Address gateway;    // not zero: into another ring
    TimePoint until{};
    TimePoint repeat{};
    TimePoint sent{};       // last
    std::uint8_t hops = 0;  // a trace: of so many hops
    Located done;
    TracedDone traced;
  };

  std::uint64_t remember(Request request);
  Bytes build(std::uint64_t id, const Request& request);
  void repeat(std::uint64_t id, Request& request);
  void repeat_locate(std::uint64_t id, Request& request);
  // Nothing if it is a reply (which is handled), replayed, or one too many.
  std::optional<Ctm> take(ByteView payload, const Address& ingress = {});
  void on_request(const Ctm& ctm);
  bool pass_on(const Ctm& ctm, ByteView payload);
  void pass_across(const Ctm& ctm, ByteView payload);
  void on_trace(const Ctm& ctm, const std::optional<TraceNext>& next);
  void on_reply(const Ctm& ctm);
  void finish(std::uint64_t id, std::optional<Address> found);
  void finish_trace(std::uint64_t id, const std::optional<Traced>& answer);
  void sweep();

  Hub& hub_;
  Forwarder& forwarder_;
  Handlers handlers_;
  std::map<std::uint64_t, Request> requests_;
  RateTable rates_{ring::kCtmPerSource, ring::kCtmPerSourceBurst};
  SignedTimes memory_{{ring::kRatesMax, ring::kCtmIdsKept, ring::kCtmReorder, ring::kCtmMemory}};
  Timer sweep_;
};

}  // namespace wow
