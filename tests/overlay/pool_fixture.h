// A world with a pool in it: what most tests of whole rings begin with.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/log.h"
#include "tools/sim/sim_pool.h"
#include "tools/sim/world.h"

namespace wow {

class PoolTest : public testing::Test {
 protected:
  explicit PoolTest(std::uint64_t seed = 1, Duration latency = 10ms) : world_(seed), pool_(world_) {
    set_log_sink([](LogLevel, const std::string&) {});
    world_.set_link(::wow::Link{.latency = latency});
  }
  ~PoolTest() override { set_log_sink({}); }

  // The i-th of many public hosts.
  SimNode& add_public() {
    ++public_hosts_;
    const std::string ip = "198.51." + std::to_string(public_hosts_ / 200) + "." +
                           std::to_string(public_hosts_ % 200 + 1);
    return pool_.add(world_.add_host(ip));
  }
  void add_many(int count) {
    for (int i = 0; i < count; ++i) add_public();
  }
  // In a site; it starts from the first two nodes.
  SimNode& behind(Site& site, std::string_view ip) {
    NodeOptions options;
    options.bootstraps = {pool_[0].host.endpoint(), pool_[1].host.endpoint()};
    options.limits.datagram_wanted = datagram_wanted_;
    return pool_.add(world_.add_host(ip, site), options);
  }
  bool becomes(const std::function<bool()>& done, Duration limit) {
    return world_.run_until(done, limit);
  }
  bool becomes_whole(Duration limit, std::size_t per_side = 3) {
    return becomes([&] { return pool_.ring_is_whole(per_side); }, limit);
  }
  // Counts messages of the first user service by sender.
  void count_messages(SimNode& at) {
    at->set_handler(Service::kUserFirst, [this, &at](const Address& from, ByteView message) {
      received_[&at].emplace_back(from, to_string(message));
    });
  }
  std::size_t received(SimNode& at) { return received_[&at].size(); }

  World world_;
  SimPool pool_;
  int public_hosts_ = 0;
  std::size_t datagram_wanted_ = 0;  // of hosts behind NATs: as SessionLimits
  std::map<SimNode*, std::vector<std::pair<Address, std::string>>> received_;
};

}  // namespace wow
