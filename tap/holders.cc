#include "tap/holders.h"

#include <utility>

#include "tap/mac_address.h"

namespace wow {
namespace {

std::optional<Holder> host(const std::optional<Address>& node) {
  return node ? std::optional(Holder{*node, mac_of(*node)}) : std::nullopt;
}

}  // namespace

std::optional<Holder> Holders::find(const IpAddress& ip) {
  if (is_hosts_own(ip)) return host(neighbours_.find(ip));
  const Binding* binding = resolver_.find(ip);
  if (!binding) return std::nullopt;
  const Holder found{binding->node, binding->mac};
  resolver_.resolve(ip, [](auto) {});
  return found;
}

void Holders::ask(const IpAddress& ip, Done done, Dht::Likely likely) {
  if (is_hosts_own(ip)) {
    return neighbours_.resolve(ip,
                               [done = std::move(done)](const auto& node) { done(host(node)); });
  }
  const auto found = [done = std::move(done)](const Result<Binding>& binding) {
    done(binding ? std::optional(Holder{binding->node, binding->mac}) : std::nullopt);
  };
  resolver_.resolve(ip, found, std::move(likely));
}

}  // namespace wow
