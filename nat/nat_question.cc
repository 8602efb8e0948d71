#include "nat/nat_question.h"

#include <algorithm>

#include "proto/headers.h"

namespace wow {
namespace {

constexpr std::uint8_t kQuestion = 1, kAnswer = 2, kErrand = 3;

bool begins(Reader& in, std::uint8_t kind) { return in.u8() == kWireVersion && in.u8() == kind; }

NatCookie read_cookie(Reader& in) {
  NatCookie out{};
  std::ranges::copy(in.take(out.size()), out.begin());
  return out;
}

// Unset if its length is 0; nothing if it is none.
std::optional<Endpoint> read_endpoint(Reader& in) {
  const std::size_t length = in.u8();
  return length == 0 ? Endpoint() : Endpoint::from_bytes(in.take(length));
}

void put(Writer& out, const Endpoint& endpoint) {
  const Bytes bytes = endpoint.is_set() ? endpoint.bytes() : Bytes();
  out.u8(static_cast<std::uint8_t>(bytes.size())).bytes(bytes);
}

}  // namespace

std::optional<NatQuestion> NatQuestion::parse(ByteView text) {
  Reader in(text);
  if (text.size() < kBytesMin || !begins(in, kQuestion)) return std::nullopt;
  NatQuestion out;
  const std::uint8_t from = in.u8();
  if (from > static_cast<std::uint8_t>(From::kOtherMember)) return std::nullopt;
  out.from = static_cast<From>(from);
  out.token = in.u64();
  out.cookie = read_cookie(in);
  return out;
}

Bytes NatQuestion::write(std::size_t bytes) const {
  Writer out;
  out.u8(kWireVersion).u8(kQuestion).u8(static_cast<std::uint8_t>(from)).u64(token).bytes(cookie);
  Bytes text = out.take();
  text.resize(std::max(bytes, kBytesMin));
  return text;
}

std::optional<NatAnswer> NatAnswer::parse(ByteView text) {
  Reader in(text);
  if (!begins(in, kAnswer)) return std::nullopt;
  NatAnswer out;
  out.token = in.u64();
  out.cookie = read_cookie(in);
  // Bounded: a calendar of 64 bits has days that no sum can be made with.
  out.wall = WallTime(std::chrono::seconds(in.u64() & 0xff'ffff'ffff));
  out.bytes = in.u16();
  out.other_port = in.u16();
  const auto seen = read_endpoint(in), other = read_endpoint(in);
  if (!in.ok() || in.remaining() != 0 || !seen || !seen->is_set() || !other) return std::nullopt;
  out.seen = *seen;
  out.other_member = *other;
  return out;
}

Bytes NatAnswer::write() const {
  Writer out;
  out.u8(kWireVersion).u8(kAnswer).u64(token).bytes(cookie);
  out.u64(static_cast<std::uint64_t>(wall.time_since_epoch().count())).u16(bytes).u16(other_port);
  put(out, seen);
  put(out, other_member);
  return out.take();
}

std::optional<NatErrand> NatErrand::parse(ByteView text) {
  Reader in(text);
  if (text.size() != kBytes || !begins(in, kErrand)) return std::nullopt;
  NatErrand out;
  out.token = in.u64();
  const auto to = read_endpoint(in);
  if (!in.ok() || !to || !to->is_set()) return std::nullopt;
  out.to = *to;
  return out;
}

Bytes NatErrand::write() const {
  Writer out;
  out.u8(kWireVersion).u8(kErrand).u64(token);
  put(out, to);
  Bytes text = out.take();
  text.resize(kBytes);
  return text;
}

}  // namespace wow
