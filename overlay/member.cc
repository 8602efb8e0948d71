#include "overlay/member.h"

#include <algorithm>

#include "nat/check_list.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

constexpr Duration kDelayUnit = 100us;
constexpr std::uint32_t kDelayMax = 100'000;  // ten seconds

}  // namespace

std::optional<Member> Member::parse(const pb::Member& message) {
  const auto address = Address::parse(view_of(message.address()));
  if (!address || address->is_zero()) return std::nullopt;
  if (message.endpoints_size() > static_cast<int>(kCandidatesMax)) return std::nullopt;
  Member out{*address, {}};
  out.round_trip = std::min<std::uint32_t>(message.delay(), kDelayMax) * kDelayUnit;
  for (const auto& bytes : message.endpoints()) {
    const auto endpoint = Endpoint::from_bytes(view_of(bytes));
    if (!endpoint) return std::nullopt;
    out.endpoints.push_back(*endpoint);
  }
  return out;
}

void Member::write(pb::Member& message, std::size_t endpoints_max) const {
  message.set_address(to_string(address.bytes()));
  if (round_trip > Duration::zero()) {
    const auto units = std::clamp<Duration::rep>(round_trip / kDelayUnit, 1, kDelayMax);
    message.set_delay(static_cast<std::uint32_t>(units));
  }
  for (std::size_t i = 0; i < std::min(endpoints_max, endpoints.size()); ++i) {
    message.add_endpoints(to_string(endpoints[i].bytes()));
  }
}

std::vector<Member> members_of(const Address& teller, const std::string& list,
                               std::span<const Address> knows) {
  std::vector<Member> out;
  pb::Neighbours message;
  if (!list.empty() && message.ParseFromString(list)) {
    auto* const members = message.mutable_members();
    for (int i = 0; i < members->size() && static_cast<std::size_t>(i) < knows.size(); ++i) {
      members->at(i).set_address(to_string(knows[static_cast<std::size_t>(i)].bytes()));
      auto member = Member::parse(members->at(i));
      if (!member) continue;
      member->named_by = teller;
      out.push_back(std::move(*member));
    }
    return out;
  }
  for (const Address& a : knows) out.push_back({a, {}});
  return out;
}

}  // namespace wow
