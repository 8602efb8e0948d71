// Tokens by which a dialling endpoint shows that it receives what is sent to it, before anything is
// stored for it (RFC 9000, 8.1.2). Stateless: an HMAC over endpoint and coarse time under a key
// that lives as long as the process.
#pragma once

#include <array>

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/random.h"

namespace wow {

class RetryTokens {
 public:
  // A token is good for one to two of these.
  static constexpr Duration kPeriod = 10s;
  static constexpr std::size_t kBytes = 16;

  explicit RetryTokens(Random& random) { random.fill(key_); }

  Bytes make(const Endpoint& endpoint, TimePoint now) const;
  bool valid(ByteView token, const Endpoint& endpoint, TimePoint now) const;

 private:
  Bytes make(const Endpoint& endpoint, std::uint64_t period) const;

  std::array<std::uint8_t, 32> key_;
};

}  // namespace wow
