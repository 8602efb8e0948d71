// A node's place on the ring: 160 bits, the first of SHA-256 over its public key. Also the ring
// arithmetic that routing needs. A DHT key is mapped to an Address by its hash; virtual IP
// addresses are `IpAddress`, never this.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
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
  Address operator-(const Address& other) const;
  // 2^bit, for 0 <= bit < 160.
  static Address power_of_two(int bit);

  auto operator<=>(const Address&) const = default;

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

// How far one walks from `from` to `to` with growing addresses (clockwise), modulo 2^160.
inline Address clockwise(const Address& from, const Address& to) { return to - from; }

// The shorter way round between two addresses.
Address ring_distance(const Address& a, const Address& b);

// Whether `a` is nearer to `target` than `b` is; ties go to the lower address, so that "the
// nearest" is one node.
bool nearer(const Address& a, const Address& b, const Address& target);

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
