#include "overlay/lan_beacon.h"

#include "nat/check_list.h"
#include "proto/headers.h"

namespace wow {
namespace {
constexpr std::size_t kFixedBytes = 2 + Address::kBytes + 1;
}

std::optional<LanBeacon> LanBeacon::parse(ByteView text) {
  if (text.size() < kFixedBytes || text[0] != kWireVersion) return std::nullopt;
  LanBeacon out;
  out.seeks = (text[1] & kSeeks) != 0;
  const auto address = Address::parse(text.subspan(2, Address::kBytes));
  if (!address || address->is_zero()) return std::nullopt;
  out.member.address = *address;
  const std::size_t count = text[kFixedBytes - 1];
  if (count == 0 || count > kCandidatesMax) return std::nullopt;
  text = text.subspan(kFixedBytes);
  for (std::size_t i = 0; i < count; ++i) {
    if (text.empty() || text.size() < 1u + text[0]) return std::nullopt;
    const auto endpoint = Endpoint::from_bytes(text.subspan(1, text[0]));
    if (!endpoint) return std::nullopt;
    out.member.endpoints.push_back(*endpoint);
    text = text.subspan(1 + text[0]);
  }
  return text.empty() ? std::optional(out) : std::nullopt;
}

Bytes LanBeacon::write() const {
  Bytes out = {kWireVersion, static_cast<std::uint8_t>(seeks ? kSeeks : 0)};
  const auto add = [&](ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  add(member.address.bytes());
  const std::size_t count = std::min(member.endpoints.size(), kCandidatesMax);
  out.push_back(static_cast<std::uint8_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes endpoint = member.endpoints[i].bytes();
    out.push_back(static_cast<std::uint8_t>(endpoint.size()));
    add(endpoint);
  }
  return out;
}

}  // namespace wow
