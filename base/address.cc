#include "base/address.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace wow {

Address Address::from_bytes(ByteView bytes) {
  assert(bytes.size() >= kBytes);
  Address out;
  std::copy_n(bytes.begin(), kBytes, out.bytes_.begin());
  return out;
}

std::optional<Address> Address::parse(ByteView bytes) {
  if (bytes.size() != kBytes) return std::nullopt;
  return from_bytes(bytes);
}

std::optional<Address> Address::from_hex(std::string_view text) {
  const auto bytes = wow::from_hex(text);
  return bytes ? parse(*bytes) : std::nullopt;
}

Address Address::operator+(const Address& other) const {
  Address out;
  int carry = 0;
  for (int i = kBytes - 1; i >= 0; --i) {
    const int sum = bytes_[i] + other.bytes_[i] + carry;
    out.bytes_[i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8;
  }
  return out;
}

Address Address::power_of_two(int bit) {
  assert(bit >= 0 && bit < 160);
  Address out;
  out.bytes_[kBytes - 1 - bit / 8] = static_cast<std::uint8_t>(1 << bit % 8);
  return out;
}

bool between(const Address& x, const Address& from, const Address& to) {
  return x != from && clockwise(from, x) <= clockwise(from, to);
}

double log2_of(const Address& distance) {
  const ByteView bytes = distance.bytes();
  const auto first = std::find_if(bytes.begin(), bytes.end(), [](auto b) { return b != 0; });
  if (first == bytes.end()) return -std::numeric_limits<double>::infinity();
  const std::size_t at = first - bytes.begin();
  const auto taken = static_cast<int>(std::min<std::size_t>(8, bytes.size() - at));
  // A double holds the first 53 bits of these, more than enough.
  const auto mantissa = static_cast<double>(get_big_endian(bytes.data() + at, taken));
  return 8.0 * static_cast<double>(Address::kBytes - at - taken) + std::log2(mantissa);
}

}  // namespace wow
