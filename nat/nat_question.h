// What a host asks members of its pool to learn what its network does to it: RFC 5780's questions
// (mapping: 4.3, filtering: 4.4), in our own packets, sealed under the pool key. A question is
// never shorter than its answer, and an answer comes from elsewhere only to whoever has shown, by a
// cookie, that it receives what is sent there: nobody can have packets sent to a third.
#pragma once

#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/endpoint.h"

namespace wow {

using NatCookie = std::array<std::uint8_t, 16>;

// | version 1 | 1 | from 1 | token 8 | cookie 16 | padding |
struct NatQuestion {
  enum class From : std::uint8_t {
    kHere = 0,         // where it was asked
    kOtherPort = 1,    // the same address, another port
    kOtherMember = 2,  // another address: a member that the asker has not spoken to
  };
  static constexpr std::size_t kBytesMin = 100;

  From from = From::kHere;
  std::uint64_t token = 0;  // comes back in the answer
  NatCookie cookie{};       // of an earlier answer to this endpoint; zeros in the first question

  static std::optional<NatQuestion> parse(ByteView text);
  Bytes write(std::size_t bytes = kBytesMin) const;  // padded to this
};

// | version 1 | 2 | token 8 | cookie 16 | wall 8 | bytes 2 | other port 2 | length 1, seen |
// length 1 (or 0), other member |
struct NatAnswer {
  std::uint64_t token = 0;
  NatCookie cookie{};
  WallTime wall{};
  std::uint16_t bytes = 0;       // of the question's text, as it arrived
  std::uint16_t other_port = 0;  // asked there, it is the same address and another port; 0: none
  Endpoint seen;                 // from where the question came
  Endpoint other_member;         // another address to ask; unset: none is known

  static std::optional<NatAnswer> parse(ByteView text);
  Bytes write() const;
};

// From one member to another, in their session: | version 1 | 3 | token 8 | length 1, endpoint |
// padding, to be no shorter than the answer that it asks for.
struct NatErrand {
  static constexpr std::size_t kBytes = 100;
  std::uint64_t token = 0;
  Endpoint to;

  static std::optional<NatErrand> parse(ByteView text);
  Bytes write() const;
};

}  // namespace wow
