// The fixed headers of the wire (docs/wire.md draws them all). Integers are big-endian. A change
// here changes kWireVersion and the golden bytes in tests/golden.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"

namespace wow {

inline constexpr std::uint8_t kWireVersion = 1;

// The first byte of every datagram.
enum class PacketType : std::uint8_t {
  kHandshake = 0x01,
  kRelay = 0x02,
  kUnknownIndex = 0x03,
  kQuestion = 0x04,  // what a NAT does, and its answer (nat/nat_question.h)
  kBeacon = 0x05,    // multicast on a LAN, to a port of its own (overlay/lan_discovery.h)
  kData = 0x10,      // the low two bits carry the key phase
};
inline constexpr std::uint8_t kKeyPhaseMask = 0x03;

std::optional<PacketType> packet_type(ByteView packet);

inline constexpr std::size_t kAeadTagBytes = 16;
inline constexpr std::size_t kAeadNonceBytes = 12;
inline constexpr std::size_t kAeadKeyBytes = 32;

// | type and key phase 1 | lane 1 | receiver index 4 | salt 4 | counter 6 | sealed: kind 1, payload
// | tag 16 | The header is the AEAD's additional data. Counter and replay window belong to the
// lane.
struct DataHeader {
  static constexpr std::size_t kBytes = 16;

  std::uint8_t key_phase = 0;  // 0..3
  std::uint8_t lane = 0;
  std::uint32_t receiver_index = 0;
  std::uint32_t salt = 0;
  std::uint64_t counter = 0;  // 48 bits

  static std::optional<DataHeader> parse(ByteView packet);
  void write(std::uint8_t* at) const;
};
// What a direct packet costs inside UDP: header, kind, tag.
inline constexpr std::size_t kDataOverheadBytes = DataHeader::kBytes + 1 + kAeadTagBytes;
static_assert(kDataOverheadBytes == 33);

// The first sealed byte of a data packet: what follows. The high four bits hold facts of the kind.
enum class DataKind : std::uint8_t {
  kFrame = 1,    // an Ethernet frame
  kRouted = 2,   // RoutedHeader, then its payload
  kControl = 3,  // MessageHeader, then a piece of a service's message
  kPath = 4,     // PathMessage
};
inline constexpr std::uint8_t kDataKindMask = 0x0f;
inline constexpr std::uint8_t kFactChecksumPartial =
    0x10;  // frame: the sender's TAP left the checksum to us
inline constexpr std::uint8_t kFactPiece =
    0x20;  // frame: a MessageHeader, then a piece of one that the path does not carry whole

// | type 1 | nonce 12 | sealed under the pool key: version 1, flight 1, fragment 1, sender index 4,
// receiver index 4,
//   token length 1, token, length 2, key-exchange bytes, padding | tag 16 |
inline constexpr std::size_t kHandshakeOuterBytes = 1 + kAeadNonceBytes;
// The first flight is padded to this, tag and all (RFC 9000, 8.1): an answer cannot amplify much.
inline constexpr std::size_t kFirstFlightBytesMin = 1200;
inline constexpr std::size_t kHandshakeBytesMax = 1232;

// The inside of a handshake packet.
struct HandshakeBody {
  static constexpr std::uint8_t kRetry = 0;  // "come back with this token"; flights are 1, 2, 3
  static constexpr std::uint8_t kRefer = 4;  // "I am busy: try these", each | length 1 | endpoint |

  std::uint8_t version = kWireVersion;
  std::uint8_t flight = 0;
  std::uint8_t fragment = 0;   // of `fragments`
  std::uint8_t fragments = 1;  // 1..15
  std::uint32_t sender_index = 0;
  std::uint32_t receiver_index = 0;  // 0 in the first flight
  Bytes token;                       // at most 64 bytes
  Bytes bytes;                       // of the key exchange

  static std::optional<HandshakeBody> parse(ByteView body);
  // At least `bytes_min` long, zero-padded.
  Bytes write(std::size_t bytes_min = 0) const;
};

// | type 1 | receiver index 4 |: "I hold no session with this index". Believed only as a hint to
// probe.
struct UnknownIndex {
  static constexpr std::size_t kBytes = 5;
  std::uint32_t index = 0;

  static std::optional<UnknownIndex> parse(ByteView packet);
  std::array<std::uint8_t, kBytes> write() const;
};

// | type 1 | flags 1 | circuit 4 | a sealed handshake or data packet |: for two nodes that cannot
// exchange packets. Who passes it on reads no more than this, and puts its own number of the next
// leg in. The low three bits of the flags count the relays passed; bit 3: nobody on the way may
// fragment it, for it asks whether so much fits (RFC 8899); the others are 0.
struct RelayHeader {
  static constexpr std::size_t kBytes = 6;
  static constexpr std::uint8_t kHopsMax = 2;  // relays that one packet may pass

  std::uint8_t hops = 0;      // 0..7
  std::uint32_t circuit = 0;  // not 0
  bool whole = false;         // not to be fragmented

  static std::optional<RelayHeader> parse(ByteView packet);
  void write(std::uint8_t* at) const;
};

enum class RouteMode : std::uint8_t {
  kExact = 0,    // to the destination or to nobody
  kNearest = 1,  // to the node nearest to the destination
};
// What a routed packet carries; nothing else may travel unsealed from hop to hop.
enum class RoutedPayload : std::uint8_t {
  kPacket = 1,  // a handshake or data packet of the session between source and destination
  kCtm = 2,     // a signed Connect-To-Me (overlay.proto)
  kNested = 3,  // a routed packet to be routed anew from the destination, which knows the way to
                // its target
};

// | hops 1 | limit 1 | mode 1 | payload 1 | destination 20 | source 20 | number 2, if flagged |
struct RoutedHeader {
  static constexpr std::size_t kBytes = 44;  // without the number
  static constexpr std::uint8_t kHopLimit = 32;

  std::uint8_t hops = 0;
  std::uint8_t limit = kHopLimit;
  RouteMode mode = RouteMode::kExact;
  bool uphill = false;  // the one hop away from the destination has been used (annealing)
  RoutedPayload payload = RoutedPayload::kPacket;
  Address destination;
  Address source;
  // Between two neighbours: the receiver acknowledges this number.
  std::optional<std::uint16_t> number;

  std::size_t size() const { return kBytes + (number ? 2 : 0); }

  static std::optional<RoutedHeader> parse(ByteView packet);
  void write(std::uint8_t* at) const;
};

// | service 1 | message 2 | piece 1 | pieces 1 |: a service's message, cut where it does not fit
// one packet.
struct MessageHeader {
  static constexpr std::size_t kBytes = 5;

  std::uint8_t service = 0;
  std::uint16_t message = 0;  // counts per session; tells pieces of one message from another's
  std::uint8_t piece = 0;
  std::uint8_t pieces = 1;  // 1..255

  static std::optional<MessageHeader> parse(ByteView packet);
  void write(std::uint8_t* at) const;
};

// | op 1 | flags 1 | token 8 | response only: length 1, the challenged endpoint as it was seen |
// A challenge may be padded with zeros, to ask whether so much fits (RFC 8899).
struct PathMessage {
  enum class Op : std::uint8_t {
    kChallenge = 1,
    kResponse = 2,
    kClose = 3,  // "I have dropped this session"; token and flags mean nothing
  };
  static constexpr std::uint8_t kMoved =
      0x01;  // challenge: "I moved here; send here once you have checked it"

  Op op = Op::kChallenge;
  std::uint8_t flags = 0;
  std::uint64_t token = 0;
  // Endpoint::bytes() of where the challenge came from, response only. By TCP only if the stream
  // was opened there; empty if it did not come directly.
  Bytes observed;

  static std::optional<PathMessage> parse(ByteView payload);
  Bytes write() const;
};

}  // namespace wow
