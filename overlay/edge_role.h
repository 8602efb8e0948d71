// What an edge is for. A session with a role on either side is an edge; it may have several roles.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace wow {

// Numbers are on the wire (pb::EdgeRole).
enum class EdgeRole : std::uint8_t {
  kNone = 0,
  kLeaf = 1,
  kNear = 2,
  kFar = 3,
  kShortcut = 4,
  kRelay = 5
};
std::string_view to_string(EdgeRole role);

// A set of roles, one bit each.
using Roles = std::uint8_t;
constexpr Roles role_bit(EdgeRole role) {
  return role == EdgeRole::kNone ? 0 : static_cast<Roles>(1u << (static_cast<int>(role) - 1));
}
inline constexpr std::array kAllRoles = {EdgeRole::kLeaf, EdgeRole::kNear, EdgeRole::kFar,
                                         EdgeRole::kShortcut, EdgeRole::kRelay};
inline constexpr Roles kLeafBit = role_bit(EdgeRole::kLeaf);
inline constexpr Roles kNearBit = role_bit(EdgeRole::kNear);
inline constexpr Roles kFarBit = role_bit(EdgeRole::kFar);
inline constexpr Roles kShortcutBit = role_bit(EdgeRole::kShortcut);
inline constexpr Roles kRelayBit = role_bit(EdgeRole::kRelay);
// Roles that only members of the ring have; a leaf may be somebody who is just joining.
inline constexpr Roles kRingBits = kNearBit | kFarBit | kShortcutBit | kRelayBit;

}  // namespace wow
