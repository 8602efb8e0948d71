// Whole hosts without kernels: node, DHT and virtual network on a simulated internet. A host's TAP
// is a list of the frames written to it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/frame_port.h"
#include "dht/dht.h"
#include "dht/node_network.h"
#include "tap/virtual_network.h"
#include "tools/sim/sim_pool.h"

namespace wow {

class ListedFrames final : public FramePort {
 public:
  void write(std::span<const ByteView> frames) override {
    for (const ByteView frame : frames) list.push_back(to_bytes(frame));
  }
  std::vector<Bytes> list;
};

class MemoryStore final : public DhtStore {
 public:
  void load(const std::function<void(const std::string&, ByteView)>& each) override {
    for (const auto& [key, value] : table_) each(key, value);
  }
  bool write(const std::string& key, ByteView value) override {
    if (value.empty()) {
      table_.erase(key);
    } else {
      table_[key] = to_bytes(value);
    }
    return true;
  }
  bool was_shared() const override { return was_shared_; }
  void note_shared() override { was_shared_ = true; }

 private:
  bool was_shared_ = false;
  std::map<std::string, Bytes> table_;
};

struct VirtualHost {
  SimNode& member;
  VirtualNetworkOptions options;
  MemoryStore store;
  ListedFrames port;
  std::unique_ptr<NodeNetwork> network;
  std::unique_ptr<Dht> dht;
  std::unique_ptr<ForwardingTables> tables;
  std::unique_ptr<VirtualNetwork> vnet;
  std::vector<LeaseRow> names;
  std::optional<Error> refused;

  IpAddress ip() const { return vnet->lease()->ip; }
  bool is_up() const { return vnet && vnet->lease().has_value(); }
};

class VirtualPool {
 public:
  explicit VirtualPool(std::uint64_t seed) : world(seed), nodes(world) {}
  ~VirtualPool() {
    for (VirtualHost& host : hosts) down(host);
  }

  VirtualHost& add(const std::string& ip, const std::string& name, Site* site = nullptr);
  // kill -9, then the same machine again: store, key and last lease survive.
  void restart(VirtualHost& host);
  void down(VirtualHost& host);
  bool all_up() const;

  World world;
  SimPool nodes;
  std::deque<VirtualHost> hosts;

 private:
  void start(VirtualHost& host);
};

}  // namespace wow
