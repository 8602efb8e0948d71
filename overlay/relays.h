// Finds a way for peers that we cannot exchange packets with: a relay that both can, or two. Near
// neighbours need it, or greedy routing ends beside the ring's gaps. Also our consent to circuits
// that others want with us. What we do as a relay is CircuitRequests'.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "overlay/hub.h"
#include "overlay/limits.h"
#include "overlay/rate_table.h"
#include "overlay/relay_ways.h"
#include "overlay/second_relay.h"

namespace wow {

namespace pb {
class Circuit;
}

class Relays {
 public:
  struct Handlers {
    // Whether a near edge to this peer is wanted, or a shortcut, and has neither a direct path nor
    // a relayed one.
    std::function<bool(const Address& peer)> lacks_path;
    // What we want an edge to this peer for, or have one for.
    std::function<Roles(const Address& peer)> wanted;
    // Members that may be neighbours of `peer`, with where to reach them.
    std::function<std::vector<Member>(const Address& peer)> neighbours_of;
  };
  Relays(Hub& hub, Handlers handlers)
      : hub_(hub), handlers_(std::move(handlers)), timer_(hub.clock) {}
  void stop();
  void forget_old();

  // No direct path to this peer was found in time, or none can be expected, or its relay was lost.
  void want(const Address& peer);
  // To whom the peer has direct paths, as it said in a CTM, and what its NAT does.
  void on_told(const Address& peer, NatMapping nat, const std::vector<Member>& direct_peers);
  NatMapping told_nat(const Address& peer) const;
  // Somebody wants a circuit with us.
  void on_open(const Address& from, const pb::Circuit& message);
  // Whether this was about a circuit that ends here, or that we asked for.
  bool on_accept(const Address& from, std::uint32_t id);
  bool on_close(const Address& from, const pb::Circuit& message);
  void on_path_changed(const Session& session);
  // Its session is gone, or has begun a new life: what it knew of circuits is, too.
  void on_lost(const Address& peer, bool session_too);

  // Of a circuit that ends here, as far as packets have come through it.
  SecondRelay second_relay(std::uint32_t circuit) const;

  std::size_t searches() const { return searches_.size(); }
  std::size_t asked() const { return asks_.size(); }

  // How to ask, in this order; each relay once in each way.
  enum class Way : std::uint8_t { kKnowsBoth, kLinks, kTwo, kTwoLinks, kNewLinks, kEnd };

 private:
  struct Search {
    Way way = Way::kKnowsBoth;
    std::set<Address> tried;  // in this way
    std::set<Address> named;  // who is said to reach the peer
    TimePoint next{};
    Duration pause = ring::kSearchAgain;
  };
  struct Ask {
    Address peer, relay;
    Address second;  // beyond it; zero: none, or it may choose
    Way way{};
    TimePoint until{}, repeat{};
    bool accepted = false;
    bool rival = false;  // of a circuit that works: a better one
  };
  struct End {
    Address relay, far_end;
    Address second{};       // whom we asked the relay to pass, too
    bool ours = false;      // we have asked for it, and look for a better one
    TimePoint used{};       // when it was last seen to be the session's path
    Duration round_trip{};  // of the path, at its least since it was found to be slow
    TimePoint compare{};
    Duration pause = ring::kRelayCompare;
  };
  struct Told {
    std::vector<Member> direct_peers;
    NatMapping nat = NatMapping::kUnknown;
    TimePoint until{};
  };

  void wake(Duration in);
  void tick();
  void step(const Address& peer, Search& search);
  void next_way(const Address& peer, Search& search);
  std::vector<RelayWay> known_ways(const Address& peer) const;
  bool has_end(const Address& relay, const Address& peer) const;
  std::size_t asks_at_once(const Address& peer, Way way) const;
  RelayWay next_known(const Address& peer, const Search& search) const;
  Address next_relay(const Address& peer, const Search& search) const;
  void link_on_purpose(const Address& peer, const Search& search);
  bool ask(const Address& peer, const RelayWay& through, Way way, bool rival);
  void send_open(std::uint32_t id, const Ask& ask);
  void repeat(std::uint32_t id, Ask& ask);
  void repeat_asks();
  void end_search(const Address& peer);
  std::size_t outstanding(const Address& peer) const;
  bool consents(const Address& from, const pb::Circuit& message) const;
  bool take(std::uint32_t id, const Address& relay, const Address& far_end, bool ours);
  void compare(const Session& session, End& end);
  bool serves(const Session& session) const;
  static bool has_slowed(const Session& session, End& end);
  bool has_become_lossy(const Session& session, const Address& relay);
  // Closed by us; or by them, after what they sent last.
  void remove(std::uint32_t id, bool ours);
  void sweep();

  Hub& hub_;
  Handlers handlers_;
  std::map<Address, Search> searches_;
  std::map<std::uint32_t, Ask> asks_;
  std::map<std::uint32_t, End> ends_;
  std::map<Address, Told> told_;
  std::map<Address, TimePoint> lossy_;  // relays that packets were lost through; until when
  RateTable opens_{ring::kOpensPerSecond, ring::kOpensBurst};
  TimePoint swept_{};
  Timer timer_;
};

}  // namespace wow
