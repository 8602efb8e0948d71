// A node's place on the ring: 160 bits, the first of SHA-256 over its public key. Also the ring
// arithmetic that routing needs. A DHT key is mapped to an Address by its hash; virtual IP
// addresses are `IpAddress`, never this.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace wow {

class Address {
 public:
  static constexpr std::size_t kBytes = 20;

  // The zero address; it stands for "any member" where a dial does not yet know whom it will meet.
  constexpr Address() = default;
  // `bytes` must hold at least 20 bytes; the first 20 are taken.
  static Address from_bytes(ByteView bytes);
  static std::optional<Address> parse(ByteView bytes);            // exactly 20 bytes
  static std::optional<Address> from_hex(std::string_view text);  // exactly 40 digits

  ByteView bytes() const { return bytes_; }
  std::string hex() const { return to_hex(bytes_); }
  // The first 8 digits: what people see in tables and logs.
  std::string short_hex() const { return hex().substr(0, 8); }
  bool is_zero() const { return *this == Address(); }

  // Arithmetic modulo 2^160.
  Address operator+(const Address& other) const;
  Address operator-(const Address& other) const {
    return from_number(minus(number(), other.number()));
  }
  // 2^bit, for 0 <= bit < 160.
  static Address power_of_two(int bit);

  bool operator==(const Address& other) const { return number() == other.number(); }
  std::strong_ordering operator<=>(const Address& other) const {
    return number() <=> other.number();
  }

 private:
  // The same 160 bits as machine words, high first: routing compares distances all the time.
  struct Number {
    std::uint64_t high, middle;
    std::uint32_t low;
    auto operator<=>(const Number&) const = default;
  };
  Number number() const {
    Number out;
    std::memcpy(&out.high, bytes_.data(), 8);
    std::memcpy(&out.middle, bytes_.data() + 8, 8);
    std::memcpy(&out.low, bytes_.data() + 16, 4);
    if constexpr (std::endian::native == std::endian::little) {
      out = {__builtin_bswap64(out.high), __builtin_bswap64(out.middle),
             __builtin_bswap32(out.low)};
    }
    return out;
  }
  static Address from_number(Number n) {
    if constexpr (std::endian::native == std::endian::little) {
      n = {__builtin_bswap64(n.high), __builtin_bswap64(n.middle), __builtin_bswap32(n.low)};
    }
    Address out;
    std::memcpy(out.bytes_.data(), &n.high, 8);
    std::memcpy(out.bytes_.data() + 8, &n.middle, 8);
    std::memcpy(out.bytes_.data() + 16, &n.low, 4);
    return out;
  }
  static Number minus(const Number& a, const Number& b) {
    Number out;
    out.low = a.low - b.low;
    const std::uint64_t borrow = a.low < b.low ? 1 : 0;
    out.middle = a.middle - b.middle - borrow;
    const bool more = a.middle < b.middle || (a.middle == b.middle && borrow != 0);
    out.high = a.high - b.high - (more ? 1 : 0);
    return out;
  }
  static Number shorter_way(const Number& a, const Number& b) {
    return std::min(minus(a, b), minus(b, a));
  }
  friend Address ring_distance(const Address& a, const Address& b);
  friend bool nearer(const Address& a, const Address& b, const Address& target);

  std::array<std::uint8_t, kBytes> bytes_{};
};

// How far one walks from `from` to `to` with growing addresses (clockwise), modulo 2^160.
inline Address clockwise(const Address& from, const Address& to) { return to - from; }

// The shorter way round between two addresses.
inline Address ring_distance(const Address& a, const Address& b) {
  return Address::from_number(Address::shorter_way(a.number(), b.number()));
}

// Whether `a` is nearer to `target` than `b` is; ties go to the lower address, so that "the
// nearest" is one node.
inline bool nearer(const Address& a, const Address& b, const Address& target) {
  const auto to = target.number(), na = a.number(), nb = b.number();
  const auto da = Address::shorter_way(na, to), db = Address::shorter_way(nb, to);
  return da != db ? da < db : na < nb;
}

// Whether `x` lies on the clockwise walk from `from` (exclusive) to `to` (inclusive).
bool between(const Address& x, const Address& from, const Address& to);

// log2 of the address as a number, -inf for zero: how large a distance is, for far-edge draws and
// size estimates.
double log2_of(const Address& distance);

struct AddressHash {
  std::size_t operator()(const Address& a) const {
    return static_cast<std::size_t>(get_big_endian(a.bytes().data(), 8));
  }
};

}  // namespace wow
