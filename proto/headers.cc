#include "proto/headers.h"

#include <algorithm>
#include <cassert>

#include "base/endpoint.h"

namespace wow {

std::optional<PacketType> packet_type(ByteView packet) {
  if (packet.empty()) return std::nullopt;
  const std::uint8_t first = packet[0];
  if ((first & ~kKeyPhaseMask) == static_cast<std::uint8_t>(PacketType::kData))
    return PacketType::kData;
  if (first >= static_cast<std::uint8_t>(PacketType::kHandshake) &&
      first <= static_cast<std::uint8_t>(PacketType::kQuestion)) {
    return static_cast<PacketType>(first);
  }
  return std::nullopt;
}

std::optional<DataHeader> DataHeader::parse(ByteView packet) {
  // A kind byte and a tag at least.
  if (packet.size() < kDataOverheadBytes || packet_type(packet) != PacketType::kData)
    return std::nullopt;
  const std::uint8_t* at = packet.data();
  DataHeader out;
  out.key_phase = at[0] & kKeyPhaseMask;
  out.lane = at[1];
  out.receiver_index = static_cast<std::uint32_t>(get_big_endian(at + 2, 4));
  out.salt = static_cast<std::uint32_t>(get_big_endian(at + 6, 4));
  out.counter = get_big_endian(at + 10, 6);
  return out;
}

void DataHeader::write(std::uint8_t* at) const {
  at[0] = static_cast<std::uint8_t>(PacketType::kData) | key_phase;
  at[1] = lane;
  put_big_endian(at + 2, receiver_index, 4);
  put_big_endian(at + 6, salt, 4);
  put_big_endian(at + 10, counter, 6);
}

std::optional<HandshakeBody> HandshakeBody::parse(ByteView body) {
  Reader in(body);
  HandshakeBody out;
  out.version = in.u8();
  out.flight = in.u8();
  const std::uint8_t fragment = in.u8();
  out.fragment = fragment >> 4;
  out.fragments = fragment & 0x0f;
  out.sender_index = in.u32();
  out.receiver_index = in.u32();
  const ByteView token = in.take(in.u8());
  const ByteView bytes = in.take(in.u16());
  const bool valid = in.ok() && out.flight <= kRefer && out.fragments > 0 &&
                     out.fragment < out.fragments && token.size() <= 64 && out.sender_index != 0;
  if (!valid) return std::nullopt;
  out.token = to_bytes(token);
  out.bytes = to_bytes(bytes);
  return out;
}

Bytes HandshakeBody::write(std::size_t bytes_min) const {
  assert(token.size() <= 64 && fragments > 0 && fragments < 16 && fragment < fragments);
  Writer out;
  out.u8(version).u8(flight).u8(static_cast<std::uint8_t>(fragment << 4 | fragments));
  out.u32(sender_index).u32(receiver_index);
  out.u8(static_cast<std::uint8_t>(token.size())).bytes(token);
  out.u16(static_cast<std::uint16_t>(bytes.size())).bytes(bytes);
  Bytes body = out.take();
  body.resize(std::max(body.size(), bytes_min));
  return body;
}

std::optional<UnknownIndex> UnknownIndex::parse(ByteView packet) {
  if (packet.size() != kBytes || packet_type(packet) != PacketType::kUnknownIndex)
    return std::nullopt;
  return UnknownIndex{static_cast<std::uint32_t>(get_big_endian(packet.data() + 1, 4))};
}

std::array<std::uint8_t, UnknownIndex::kBytes> UnknownIndex::write() const {
  std::array<std::uint8_t, kBytes> out;
  out[0] = static_cast<std::uint8_t>(PacketType::kUnknownIndex);
  put_big_endian(out.data() + 1, index, 4);
  return out;
}

namespace {
constexpr std::uint8_t kRelayHopsMask = 0x07;
constexpr std::uint8_t kRelayWholeFlag = 0x08;
}  // namespace

std::optional<RelayHeader> RelayHeader::parse(ByteView packet) {
  if (packet.size() <= kBytes || packet_type(packet) != PacketType::kRelay) return std::nullopt;
  RelayHeader out;
  out.hops = packet[1] & kRelayHopsMask;
  out.whole = (packet[1] & kRelayWholeFlag) != 0;
  out.circuit = static_cast<std::uint32_t>(get_big_endian(packet.data() + 2, 4));
  const auto inner = packet_type(packet.subspan(kBytes));
  const bool sealed = inner == PacketType::kHandshake || inner == PacketType::kData;
  const bool known = (packet[1] & ~(kRelayHopsMask | kRelayWholeFlag)) == 0;
  if (!known || out.circuit == 0 || !sealed) return std::nullopt;
  return out;
}

void RelayHeader::write(std::uint8_t* at) const {
  at[0] = static_cast<std::uint8_t>(PacketType::kRelay);
  at[1] = static_cast<std::uint8_t>((hops & kRelayHopsMask) | (whole ? kRelayWholeFlag : 0));
  put_big_endian(at + 2, circuit, 4);
}

namespace {
constexpr std::uint8_t kUphillFlag = 0x80;  // beside the mode
constexpr std::uint8_t kNumberFlag = 0x40;
}  // namespace

std::optional<RoutedHeader> RoutedHeader::parse(ByteView packet) {
  if (packet.size() < kBytes) return std::nullopt;
  RoutedHeader out;
  out.hops = packet[0];
  out.limit = packet[1];
  const std::uint8_t mode = packet[2] & ~(kUphillFlag | kNumberFlag);
  const std::uint8_t payload = packet[3];
  if (mode > static_cast<std::uint8_t>(RouteMode::kNearest) || out.limit > kHopLimit ||
      payload < 1 || payload > 3) {
    return std::nullopt;
  }
  out.mode = static_cast<RouteMode>(mode);
  out.uphill = (packet[2] & kUphillFlag) != 0;
  out.payload = static_cast<RoutedPayload>(payload);
  out.destination = Address::from_bytes(packet.subspan(4));
  out.source = Address::from_bytes(packet.subspan(24));
  if ((packet[2] & kNumberFlag) != 0) {
    if (packet.size() < kBytes + 2) return std::nullopt;
    out.number = static_cast<std::uint16_t>(get_big_endian(packet.data() + kBytes, 2));
  }
  return out;
}

void RoutedHeader::write(std::uint8_t* at) const {
  at[0] = hops;
  at[1] = limit;
  at[2] = static_cast<std::uint8_t>(mode) | (uphill ? kUphillFlag : 0) | (number ? kNumberFlag : 0);
  at[3] = static_cast<std::uint8_t>(payload);
  std::copy_n(destination.bytes().begin(), Address::kBytes, at + 4);
  std::copy_n(source.bytes().begin(), Address::kBytes, at + 24);
  if (number) put_big_endian(at + kBytes, *number, 2);
}

std::optional<MessageHeader> MessageHeader::parse(ByteView packet) {
  Reader in(packet);
  MessageHeader out;
  out.service = in.u8();
  out.message = in.u16();
  out.piece = in.u8();
  out.pieces = in.u8();
  if (!in.ok() || out.pieces == 0 || out.piece >= out.pieces) return std::nullopt;
  return out;
}

void MessageHeader::write(std::uint8_t* at) const {
  at[0] = service;
  put_big_endian(at + 1, message, 2);
  at[3] = piece;
  at[4] = pieces;
}

std::optional<PathMessage> PathMessage::parse(ByteView payload) {
  Reader in(payload);
  PathMessage out;
  const std::uint8_t op = in.u8();
  out.flags = in.u8();
  out.token = in.u64();
  if (op == static_cast<std::uint8_t>(Op::kResponse)) {
    out.observed = to_bytes(in.take(in.u8()));
    if (!out.observed.empty() && !Endpoint::from_bytes(out.observed)) return std::nullopt;
  } else if (op != static_cast<std::uint8_t>(Op::kChallenge) &&
             op != static_cast<std::uint8_t>(Op::kClose)) {
    return std::nullopt;
  }
  if (!in.ok()) return std::nullopt;
  out.op = static_cast<Op>(op);
  return out;
}

Bytes PathMessage::write() const {
  constexpr std::size_t kFixedBytes = 10;
  Bytes out(kFixedBytes);
  out.reserve(kFixedBytes + 1 + observed.size());
  out[0] = static_cast<std::uint8_t>(op);
  out[1] = flags;
  put_big_endian(&out[2], token, 8);
  if (op != Op::kResponse) return out;
  out.push_back(static_cast<std::uint8_t>(observed.size()));
  out.insert(out.end(), observed.begin(), observed.end());
  return out;
}

}  // namespace wow
