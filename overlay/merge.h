// Makes one ring of two that grew apart. A member of either that meets one of the other (a contact)
// asks along both who is nearest to a point drawn by chance; where the answers differ, it stands
// between two rings. It takes its place on the other one, becomes a gateway for a while, and tells
// its own ring by broadcast: everybody asks for its place on the other ring through it (after
// Shafaat, Ghodsi, Haridi, "Handling Network Partitions and Mergers in Structured Overlay
// Networks", 2007; by broadcast in place of gossip). Exchanging neighbours alone would take as many
// rounds as there are members between two contacts.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "overlay/hub.h"
#include "overlay/rate_table.h"

namespace wow {

namespace pb {
class Outsider;
}

class Merge {
 public:
  struct Handlers {
    // Says to all of the ring that we are a gateway.
    std::function<void()> announce;
    // From now on, what is nested to us for the nearest node goes through `contact`.
    std::function<void(const Address& contact)> open_gateway;
    // Asks for our place through a gateway.
    std::function<void(const Address& gateway)> ask_through;
  };
  Merge(Hub& hub, Handlers handlers)
      : hub_(hub), handlers_(std::move(handlers)), announce_(hub.clock), ask_(hub.clock) {}
  void stop();

  // A session to a member that we met from outside of our ring: compare, soon.
  void on_contact(const Address& peer);
  // Expected as contacts when they open.
  bool is_expected(const Address& peer) const { return expected_.contains(peer); }
  // A peer says that this one stands on another ring.
  void on_outsider(const Address& from, const pb::Outsider& message);
  // A member of our ring is a gateway to another.
  void on_gateway(const Address& gateway);
  // We have joined through these, which may never have heard of each other.
  void compare(const std::vector<Address>& leaves);
  void forget_old();

 private:
  // Of one contact: answers along either ring to the same question.
  struct Comparison {
    Address first, second;  // hops
    int differences = 0, rounds = 0;
    bool ours = false;  // `second` leads into our own ring, and `first` is the contact
  };

  void ask_both(Comparison comparison);
  void judge(Comparison comparison, const std::optional<Address>& one,
             const std::optional<Address>& other);
  void found_apart(const Comparison& comparison);
  void introduce(const Address& to, const Address& whom);
  void become_gateway(const Address& contact);
  Address own_hop(const Address& but) const;

  Hub& hub_;
  Handlers handlers_;
  std::map<Address, TimePoint> expected_;  // dialled as told by others, until
  std::map<Address, TimePoint> held_;      // contacts with a leaf role of ours, until
  std::set<Address> gateways_;             // asked, or to be asked
  RateTable told_{0.2, 3};                 // outsiders that one peer may name
  TimePoint merged_at_{-1h};
  Timer announce_, ask_;
  std::vector<Address> to_ask_;
};

}  // namespace wow
