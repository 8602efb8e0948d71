#include "base/bytes.h"

namespace wow {

Bytes concat(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::uint8_t b : bytes) {
    out += kDigits[b >> 4];
    out += kDigits[b & 15];
  }
  return out;
}

namespace {
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

ByteView Reader::take(std::size_t bytes) {
  if (bytes > bytes_.size()) {
    ok_ = false;
    bytes_ = {};
    return {};
  }
  ByteView out = bytes_.first(bytes);
  bytes_ = bytes_.subspan(bytes);
  return out;
}

std::uint64_t Reader::integer(std::size_t width) {
  ByteView bytes = take(width);
  return bytes.empty() ? 0 : get_big_endian(bytes.data(), static_cast<int>(width));
}

Writer& Writer::integer(std::uint64_t v, int width) {
  out_.resize(out_.size() + width);
  put_big_endian(out_.data() + out_.size() - width, v, width);
  return *this;
}

}  // namespace wow
