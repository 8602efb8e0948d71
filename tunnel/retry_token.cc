#include "tunnel/retry_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace wow {
namespace {

std::uint64_t period_of(TimePoint now) {
  return static_cast<std::uint64_t>(now.time_since_epoch() / RetryTokens::kPeriod);
}

}  // namespace

Bytes RetryTokens::make(const Endpoint& endpoint, TimePoint now) const {
  return make(endpoint, period_of(now));
}

bool RetryTokens::valid(ByteView token, const Endpoint& endpoint, TimePoint now) const {
  if (token.size() != kBytes) return false;
  for (const std::uint64_t back : {0, 1}) {
    const Bytes expected = make(endpoint, period_of(now) - back);
    if (CRYPTO_memcmp(expected.data(), token.data(), kBytes) == 0) return true;
  }
  return false;
}

Bytes RetryTokens::make(const Endpoint& endpoint, std::uint64_t period) const {
  const Bytes message = Writer().u64(period).bytes(endpoint.ip.mapped()).u16(endpoint.port).take();
  Bytes out(32);
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), message.data(), message.size(),
       out.data(), nullptr);
  out.resize(kBytes);
  return out;
}

}  // namespace wow
