// Nodes that have sessions and nothing above them, on a simulated internet, with a "ring" that
// carries routed packets from anybody to anybody.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tools/sim/fake_credentials.h"
#include "tools/sim/world.h"
#include "tunnel/sessions.h"

namespace wow {

class Net;

class Party final : public Sessions::Listener, public Transport {
 public:
  struct Closed {
    Address peer;
    Path path;
    CloseReason reason;
  };
  // Sees each packet before it leaves; false keeps it from leaving.
  using Filter = std::function<bool(ByteView packet, const Endpoint& to)>;

  Party(Net& net, SimHost& host, std::uint64_t seed, FakeIdentityOptions identity,
        SessionLimits limits);

  const Address& address() const { return credentials_->address(); }
  Endpoint endpoint() const { return host.endpoint(); }
  Path path() const { return Path::direct(endpoint()); }
  Sessions& sessions() { return *sessions_; }
  FakeCredentials& credentials() { return *credentials_; }
  const MetricSlot& metrics() const { return *metrics_; }
  std::uint64_t count(Metric metric) const { return metrics_->get(metric); }

  // Opens an attempt at `other`, directly or along the ring.
  void dial(const Party& other) { sessions_->dial(other.address(), other.path()); }
  void dial_routed(const Party& other) { sessions_->dial(other.address(), Path::routed()); }
  // Sends a control message; it must be unique to be counted.
  bool say(const Party& to, const std::string& text);
  void send_frame(const Party& to, const std::string& text) {
    sessions_->send(to.address(), DataKind::kFrame, view_of(text));
  }
  Session* session(const Party& other) { return sessions_->find(other.address()); }
  bool is_open(const Party& other);
  bool is_direct(const Party& other);

  // kill -9, and a new process with the same key.
  void kill();
  void start();

  // What the listener was told.
  std::vector<Address> opened;
  std::vector<Closed> closed;
  std::vector<std::string> heard;  // control messages, in order of arrival
  std::vector<std::string> frames;
  std::set<std::string> heard_set;
  std::vector<Endpoint> reflexive;
  int path_changes = 0;
  std::size_t bytes_sent = 0, packets_sent = 0;  // UDP payload
  std::function<void(Session&)> when_open;
  Filter filter;
  SimHost& host;

  void on_open(Session& session) override;
  void on_closed(const Address& peer, const Path& path, CloseReason reason) override;
  void on_path_changed(Session&) override { ++path_changes; }
  void on_routed(Session&, ByteView) override {}
  void on_control(Session& session, ByteView piece) override;
  void on_frame(Session&, ByteView frame, std::uint8_t) override {
    frames.push_back(to_string(frame));
  }
  void on_reflexive(Session&, const Endpoint& observed) override { reflexive.push_back(observed); }
  void send_routed(const Address& peer, const Address& via, ByteView packet) override;
  void send(std::span<const Datagram> batch) override;
  std::vector<Endpoint> local_endpoints() const override { return host.local_endpoints(); }

 private:
  Net& net_;
  const std::uint64_t seed_;
  FakeIdentityOptions identity_;
  const SessionLimits limits_;
  std::unique_ptr<MetricSlot> metrics_ = std::make_unique<MetricSlot>();
  std::unique_ptr<FakeCredentials> credentials_;
  std::unique_ptr<Sessions> sessions_;
};

class Net {
 public:
  explicit Net(std::uint64_t seed = 1, Duration latency = 10ms) : world(seed) {
    world.set_link(Link{latency});
  }

  // Nodes at 198.51.100.1, .2, ... or in a site.
  Party& add(FakeIdentityOptions identity = {}, SessionLimits limits = {});
  Party& add_at(std::string_view ip, Site* site, SessionLimits limits = {});
  // Another machine with the key of `seed`, the number of an earlier one.
  Party& add_copy(std::uint64_t seed);
  void run_for(Duration span) { world.run_for(span); }
  bool run_until(const std::function<bool()>& done, Duration limit = 30s) {
    return world.run_until(done, limit, 1ms);
  }
  Party* find(const Address& address);

  World world;
  Duration ring_latency = 40ms;
  double ring_loss = 0;
  bool ring_up = true;
  std::size_t ring_bytes_max = 0;  // the largest routed packet

 private:
  friend class Party;
  void route(const Party& from, const Address& to, Bytes packet);

  std::vector<std::unique_ptr<Party>> parties_;
};

// The receiver index of a data packet, 0 for others.
std::uint32_t receiver_index(ByteView packet);

}  // namespace wow
