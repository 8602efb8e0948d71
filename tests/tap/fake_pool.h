// The world around the pure parts of tap/: a ring, and a DHT that is one table, shared by all nodes
// of a test. Answers take a round trip; the DHT can be made unavailable.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "tap/dht_calls.h"
#include "tap/neighbours.h"
#include "tap/virtual_network.h"
#include "tests/base/manual_clock.h"

namespace wow {

// Whom a look-up along the ring finds: the nearest of `members`.
class FakeRing {
 public:
  FakeRing(ManualClock& clock, std::vector<Address> members)
      : members(std::move(members)), clock_(clock) {}

  Neighbours::Locate locate();

  std::vector<Address> members;
  int located = 0;  // times that it was asked

 private:
  ManualClock& clock_;
};

class FakeDht {
 public:
  static constexpr Duration kRoundTrip = 20ms;

  explicit FakeDht(ManualClock& clock) : clock_(clock) {}

  DhtCalls calls_for(const Address& self);

  // As a node would register it.
  void set(const std::string& key, const Address& owner, Bytes data, Duration ttl = 1h) {
    table_[key] = {key, std::move(data), owner, 1, ttl, {}};
    written_[key] = clock_.now();
  }
  void set_lease(const std::string& ip, const Address& owner, const std::string& name = "",
                 Duration ttl = 1h);
  void set_name(const std::string& name, const Address& owner, const std::string& ip);
  void erase(const std::string& key) { table_.erase(key); }
  const DhtRecord* find(const std::string& key);
  std::size_t size() const { return table_.size(); }

  bool available = true;
  std::set<Address> hold_many;  // hosts that may bridge hold more than one lease
  // Every operation so far, as "create ip/10.0.0.1".
  std::vector<std::string> asked;

 private:
  using Answer = std::function<Result<DhtRecord>()>;
  void later(const std::string& what, Answer answer, Dht::Done done);
  Result<DhtRecord> write(const std::string& key, const Address& owner, const Bytes& data,
                          Duration ttl);

  ManualClock& clock_;
  std::map<std::string, DhtRecord> table_;
  std::map<std::string, TimePoint> written_;
};

// An address whose first byte is `n`, so that its MAC and hex are easy to see.
Address node_address(std::uint8_t n);
IpAddress ip(const std::string& text);

}  // namespace wow
