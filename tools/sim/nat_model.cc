#include "tools/sim/nat_model.h"

namespace wow {
namespace {

// A remote endpoint with the parts wiped that a rule of this scope does not look at.
Endpoint scoped(const Endpoint& remote, NatScope scope) {
  switch (scope) {
    case NatScope::kEndpointIndependent:
      return {};
    case NatScope::kAddressDependent:
      return {remote.ip, 0};
    case NatScope::kAddressPortDependent:
      break;
  }
  return remote;
}

}  // namespace

Endpoint NatModel::outgoing(const Endpoint& inside, const Endpoint& to, TimePoint now) {
  const Key key{inside, rules_.translate ? scoped(to, rules_.mapping) : Endpoint()};
  auto found = mappings_.find(key);
  if (found != mappings_.end() && now - found->second.last_out > rules_.timeout) {
    by_outside_.erase(found->second.outside);
    mappings_.erase(found);
    found = mappings_.end();
  }
  if (found == mappings_.end()) {
    const Endpoint outside = rules_.translate ? free_outside(inside) : inside;
    by_outside_[outside] = key;
    found = mappings_.emplace(key, Mapping{outside, now, {}}).first;
  }
  found->second.last_out = now;
  found->second.permitted[scoped(to, rules_.filtering)] = now;
  return found->second.outside;
}

std::optional<Endpoint> NatModel::incoming(const Endpoint& from, const Endpoint& to,
                                           TimePoint now) const {
  const auto key = by_outside_.find(to);
  if (key == by_outside_.end()) return std::nullopt;
  const Mapping& mapping = mappings_.at(key->second);
  const auto permit = mapping.permitted.find(scoped(from, rules_.filtering));
  if (permit == mapping.permitted.end() || now - permit->second > rules_.timeout)
    return std::nullopt;
  return key->second.first;
}

std::optional<Endpoint> NatModel::inside_of(const Endpoint& outside) const {
  const auto key = by_outside_.find(outside);
  if (key == by_outside_.end()) return std::nullopt;
  return key->second.first;
}

void NatModel::forget() {
  mappings_.clear();
  by_outside_.clear();
}

std::size_t NatModel::entries(TimePoint now) const {
  std::size_t out = 0;
  for (const auto& [key, mapping] : mappings_) {
    for (const auto& [remote, at] : mapping.permitted) out += now - at <= rules_.timeout;
  }
  return out;
}

Endpoint NatModel::free_outside(const Endpoint& inside) {
  Endpoint out{outside_, inside.port};
  while (rules_.step != 0) {
    constexpr int kFirst = 1024, kPorts = 65536 - kFirst;
    last_port_ =
        static_cast<std::uint16_t>(kFirst + (last_port_ - kFirst + rules_.step + kPorts) % kPorts);
    out.port = last_port_;
    if (!by_outside_.contains(out)) return out;
  }
  bool take = rules_.preserve_port;
  while (!take || by_outside_.contains(out)) {
    out.port = static_cast<std::uint16_t>(1024 + random_.below(65536 - 1024));
    take = true;
  }
  return out;
}

}  // namespace wow
