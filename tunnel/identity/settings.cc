#include "tunnel/identity/settings.h"

#include <algorithm>

#include "base/endpoint.h"

namespace wow {
namespace {

constexpr std::string_view kSignedPrefix = "wow settings 1";

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

bool are_of_size(const auto& list, std::size_t bytes) {
  return std::ranges::all_of(list, [&](const std::string& item) { return item.size() == bytes; });
}

bool contains(const auto& list, ByteView item) {
  return std::ranges::any_of(list, [&](const std::string& s) { return s == text_of(item); });
}

Result<void> check_reservation(const pb::Reservation& reservation, const Prefix& subnet) {
  if (reservation.name().empty() && reservation.ip().empty())
    return bad("a reservation needs a name or an address");
  if (!reservation.name().empty() && !is_pool_name(reservation.name()))
    return bad("a reserved name must be 1 to 63 of a-z, 0-9 and '-'");
  if (!reservation.ip().empty()) {
    const auto ip = IpAddress::parse(reservation.ip());
    if (!ip || !subnet.contains(*ip))
      return bad("a reserved address must lie in the pool's subnet " + subnet.text());
  }
  if (reservation.node().size() != Address::kBytes)
    return bad("a reservation must name its node by 20 bytes");
  return {};
}

}  // namespace

bool is_pool_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<void> check_settings(const pb::Settings& settings) {
  if (settings.ByteSizeLong() > kSettingsBytesMax - 128)
    return Error{
        ErrorCode::kExhausted,
        "the pool settings would be too large; revoke whole invites instead of many nodes"};
  if (settings.number() == 0) return bad("the settings' number must not be 0");
  if (settings.signed_at() < 0) return bad("the settings must not be signed before 1970");
  if (!is_pool_name(settings.name()))
    return bad("a pool's name must be 1 to 63 of a-z, 0-9 and '-'");
  const auto subnet = Prefix::parse(settings.subnet());
  if (!subnet || !subnet->network.is_v4() || subnet->bits < 8 || subnet->bits > 30)
    return bad("the subnet must be an IPv4 network of /8 to /30, such as 10.128.0.0/16");
  if (settings.mtu() < kMtuMin || settings.mtu() > kMtuMax)
    return bad("the MTU must be between 576 and 65521, not " + std::to_string(settings.mtu()));
  if (settings.dht_shards() > 256 || (settings.dht_shards() & (settings.dht_shards() - 1)) != 0)
    return bad("the store's shards must be a power of two up to 256, not " +
               std::to_string(settings.dht_shards()));
  for (const auto& reservation : settings.reservations())
    if (auto checked = check_reservation(reservation, *subnet); !checked) return checked;
  if (!settings.founder().empty() && settings.founder().size() != Address::kBytes)
    return bad("the founder must be named by 20 bytes");
  for (const auto& closed : settings.closed_invites())
    if (closed.invite_id().size() != 16 || !are_of_size(closed.members_kept(), Address::kBytes))
      return bad("a closed invite needs an id of 16 bytes and members of 20");
  if (!are_of_size(settings.revoked_invites(), 16) ||
      !are_of_size(settings.revoked_nodes(), Address::kBytes))
    return bad("revoked invites are named by 16 bytes, revoked nodes by 20");
  return {};
}

Bytes sign_settings(const pb::Settings& settings, const PrivateKey& root) {
  pb::SignedSettings out;
  out.set_settings(settings.SerializeAsString());
  out.set_signature(
      to_string(root.sign(concat({view_of(kSignedPrefix), view_of(out.settings())}))));
  return to_bytes(out.SerializeAsString());
}

Result<pb::Settings> verify_settings(ByteView signed_settings, ByteView root_public_key) {
  pb::SignedSettings outer;
  pb::Settings settings;
  if (signed_settings.size() > kSettingsBytesMax ||
      !outer.ParseFromArray(signed_settings.data(), static_cast<int>(signed_settings.size())) ||
      !verify_signature(root_public_key,
                        concat({view_of(kSignedPrefix), view_of(outer.settings())}),
                        view_of(outer.signature())))
    return Error{ErrorCode::kUntrusted, "the settings are not signed by this pool's root key"};
  if (!settings.ParseFromString(outer.settings())) return bad("the settings cannot be read");
  if (auto checked = check_settings(settings); !checked) return checked.error();
  return settings;
}

std::uint32_t lease_seconds(const pb::Settings& settings) {
  return settings.lease_seconds() ? settings.lease_seconds() : kLeaseSecondsDefault;
}

Result<void> check_welcome(const pb::Settings& settings, const Address& node, ByteView invite_id) {
  const auto no = [&](const char* why) {
    return Error{ErrorCode::kUntrusted, "node " + node.short_hex() + why};
  };
  if (contains(settings.revoked_nodes(), node.bytes())) return no(" is revoked");
  if (contains(settings.revoked_invites(), invite_id)) return no(" came by a revoked invite");
  for (const auto& closed : settings.closed_invites())
    if (closed.invite_id() == text_of(invite_id) && !contains(closed.members_kept(), node.bytes()))
      return no(" came by an invite that is closed, and is not among those kept");
  return {};
}

WallTime judged_time(WallTime local, WallTime build_date, const pb::Settings& settings) {
  return std::max({local, build_date, WallTime(std::chrono::seconds(settings.signed_at()))});
}

}  // namespace wow
