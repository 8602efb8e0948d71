// Views, owned bytes, and a big-endian reader and writer. Used by every floor; knows nothing of
// packets.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wow {

using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

inline ByteView view_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string to_string(ByteView bytes) { return std::string(text_of(bytes)); }
inline Bytes to_bytes(ByteView bytes) { return Bytes(bytes.begin(), bytes.end()); }
inline Bytes to_bytes(std::string_view text) { return to_bytes(view_of(text)); }

// One buffer of all the parts, in order.
Bytes concat(std::initializer_list<ByteView> parts);

// Lower-case hexadecimal; `from_hex` returns nothing on an odd length or a foreign character.
std::string to_hex(ByteView bytes);
std::optional<Bytes> from_hex(std::string_view text);

// Reads big-endian integers from hostile bytes. After the first read beyond the end every read
// gives zero and ok() is false, so a parser checks once, at its end.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(integer(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(integer(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }
  std::uint64_t u48() { return integer(6); }
  std::uint64_t u64() { return integer(8); }
  ByteView take(std::size_t bytes);
  ByteView rest() { return take(bytes_.size()); }
  std::size_t remaining() const { return bytes_.size(); }
  bool ok() const { return ok_; }

 private:
  std::uint64_t integer(std::size_t width);

  ByteView bytes_;
  bool ok_ = true;
};

// Appends big-endian integers to a buffer that it owns.
class Writer {
 public:
  Writer& u8(std::uint8_t v) { return integer(v, 1); }
  Writer& u16(std::uint16_t v) { return integer(v, 2); }
  Writer& u32(std::uint32_t v) { return integer(v, 4); }
  Writer& u48(std::uint64_t v) { return integer(v, 6); }
  Writer& u64(std::uint64_t v) { return integer(v, 8); }
  Writer& bytes(ByteView v) {
    out_.insert(out_.end(), v.begin(), v.end());
    return *this;
  }
  Bytes take() { return std::move(out_); }
  const Bytes& view() const { return out_; }

 private:
  Writer& integer(std::uint64_t v, int width);

  Bytes out_;
};

// Big-endian integers at a fixed place, for headers written in front of a payload without a copy.
// Whole words where the width is known, for the data path does this some dozen times a packet.
inline void put_big_endian(std::uint8_t* at, std::uint64_t value, int width) {
  if (std::endian::native == std::endian::little && width == 8) {
    const std::uint64_t word = __builtin_bswap64(value);
    std::memcpy(at, &word, sizeof word);
  } else if (std::endian::native == std::endian::little && width == 4) {
    const std::uint32_t word = __builtin_bswap32(static_cast<std::uint32_t>(value));
    std::memcpy(at, &word, sizeof word);
  } else if (std::endian::native == std::endian::little && width == 2) {
    const std::uint16_t word = __builtin_bswap16(static_cast<std::uint16_t>(value));
    std::memcpy(at, &word, sizeof word);
  } else if (width == 6) {
    put_big_endian(at, value >> 32, 2);
    put_big_endian(at + 2, value, 4);
  } else {
    for (int i = width - 1; i >= 0; --i, value >>= 8) at[i] = static_cast<std::uint8_t>(value);
  }
}
inline std::uint64_t get_big_endian(const std::uint8_t* at, int width) {
  if (std::endian::native == std::endian::little && width == 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return __builtin_bswap64(word);
  }
  if (std::endian::native == std::endian::little && width == 4) {
    std::uint32_t word;
    std::memcpy(&word, at, sizeof word);
    return __builtin_bswap32(word);
  }
  if (std::endian::native == std::endian::little && width == 2) {
    std::uint16_t word;
    std::memcpy(&word, at, sizeof word);
    return __builtin_bswap16(word);
  }
  if (width == 6) return get_big_endian(at, 2) << 32 | get_big_endian(at + 2, 4);
  std::uint64_t value = 0;
  for (int i = 0; i < width; ++i) value = value << 8 | at[i];
  return value;
}

}  // namespace wow
