#include "tools/sim/sim_pool.h"

#include <algorithm>
#include <utility>

#include "tools/sim/ring_checker.h"

namespace wow {

SimPool::~SimPool() {
  for (SimNode& member : members_) member.host.set_receiver(nullptr);
}

SimNode& SimPool::add(SimHost& host, NodeOptions options) {
  if (options.bootstraps.empty() && !members_.empty()) {
    options.bootstraps = {members_.front().host.endpoint()};
  }
  SimNode& member = add_stopped(host, std::move(options));
  start(member);
  return member;
}

SimNode& SimPool::add_stopped(SimHost& host, NodeOptions options) {
  // Not what this processor is best at: a seed gives the same run on any machine.
  options.limits.suite = CipherSuite::kAes256Gcm;
  const std::uint64_t seed = random_.u64() | 1;
  SimNode& member =
      members_.emplace_back(host, seed, FakeCredentials::address_of(seed), std::move(options));
  by_address_[member.address()] = &member;
  return member;
}

void SimPool::start(SimNode& member) {
  member.credentials = std::make_unique<FakeCredentials>(
      member.key_seed, FakeIdentityOptions{"pool", member.incarnation++, 0});
  member.node =
      std::make_unique<Node>(*member.credentials, member.host.clock(), member.host.random(),
                             member.host.transport(), member.metrics.slot, member.options);
  member.host.set_receiver([node = member.node.get()](MutableBytes packet, const Endpoint& from) {
    node->on_datagram(packet, from);
  });
  member.node->start();
  ++version_;
}

void SimPool::shut_down(SimNode& member) {
  member.options.remembered = member.node->remember();
  member.node.reset();
  ++version_;
  world_.crash(member.host);
}

void SimPool::crash(SimNode& member) { shut_down(member); }

void SimPool::leave(SimNode& member) {
  member.node->stop();
  shut_down(member);
}

void SimPool::restart(SimNode& member) {
  world_.restart(member.host);
  start(member);
}

void SimPool::move(SimNode& member, std::string_view ip, Site* site) {
  world_.move(member.host, ip, site);
  member.node->on_network_change();
}

const std::vector<SimNode*>& SimPool::ring() {
  if (ring_version_ == version_) return ring_;
  ring_version_ = version_;
  ring_.clear();
  for (SimNode& member : members_) {
    if (member.node) ring_.push_back(&member);
  }
  std::sort(ring_.begin(), ring_.end(),
            [](auto* a, auto* b) { return a->address() < b->address(); });
  return ring_;
}

SimNode* SimPool::find(const Address& address) {
  const auto found = by_address_.find(address);
  return found == by_address_.end() || !found->second->node ? nullptr : found->second;
}

bool SimPool::all_joined() {
  return std::all_of(members_.begin(), members_.end(),
                     [](SimNode& m) { return !m.node || m.node->joined(); });
}

bool SimPool::ring_is_whole(std::size_t per_side) { return RingChecker(*this, per_side).whole(); }

bool SimPool::direct(SimNode& a, SimNode& b) {
  const auto one_way = [](SimNode& from, SimNode& to) {
    Session* session = from.node->session(to.address());
    return session != nullptr && session->is_direct();
  };
  return one_way(a, b) && one_way(b, a);
}

namespace {

// Answers of locate(), which may come after whoever waits has gone.
struct Answers {
  std::size_t right = 0, come = 0;
};

void ask(SimNode& from, SimNode& to, const std::shared_ptr<Answers>& answers) {
  from.node->locate(to.address(), [answers, wanted = to.address()](std::optional<Address> found) {
    ++answers->come;
    if (found == wanted) ++answers->right;
  });
}

constexpr Duration kLocateLimit = 4s;  // a locate gives up after 3 s

}  // namespace

bool SimPool::routable(SimNode& a, SimNode& b) {
  const auto answers = std::make_shared<Answers>();
  ask(a, b, answers);
  world_.run_until([&] { return answers->come == 1; }, kLocateLimit);
  return answers->right == 1;
}

bool SimPool::all_routable() {
  const auto members = ring();
  for (SimNode* from : members) {
    const auto answers = std::make_shared<Answers>();
    for (SimNode* to : members) {
      if (to != from) ask(*from, *to, answers);
    }
    world_.run_until([&] { return answers->come + 1 == members.size(); }, kLocateLimit);
    if (answers->right + 1 != members.size()) return false;
  }
  return true;
}

std::uint64_t SimPool::total(Metric metric) const {
  std::uint64_t sum = 0;
  for (const SimNode& member : members_) sum += member.metrics.total(metric);
  return sum;
}

}  // namespace wow
