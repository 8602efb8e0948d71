// The part of DNS (RFC 1035) that a pool needs: addresses of NAME.POOL.internal, IPv4 and
// IPv6, and names of the hosts' addresses. Other questions are refused, so that the host's resolver
// asks elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "tap/directory.h"

namespace wow {

// One question of a query; RFC 1035, 4.1.
struct DnsQuestion {
  static constexpr std::uint16_t kA = 1, kPtr = 12, kAaaa = 28, kAny = 255;

  std::uint16_t id = 0;
  bool recursion_desired = false;
  std::string name;  // lower case, without the last dot
  std::uint16_t type = 0;
  Bytes section;  // as it came: the answer repeats it

  // Nothing unless it is a plain query with exactly one question of class IN.
  static std::optional<DnsQuestion> parse(ByteView message);
};

enum class DnsCode : std::uint8_t {
  kNoError = 0,
  kServerFailure = 2,
  kNoSuchName = 3,
  kRefused = 5
};

// An answer with one record (`data` not empty; of `type`) or none.
Bytes write_dns_answer(const DnsQuestion& question, DnsCode code, ByteView data = {},
                       std::uint16_t type = DnsQuestion::kA);
// A name as its labels; nothing if one is empty or too long, or all are.
std::optional<Bytes> write_dns_name(std::string_view name);
// 10.128.0.9 of "9.0.128.10.in-addr.arpa", and of 32 hexadecimal digits and "ip6.arpa" (RFC 3596)
// their IPv6 address.
std::optional<IpAddress> parse_reverse_name(std::string_view name);

class DnsResponder {
 public:
  static constexpr std::uint32_t kTtlSeconds = 30;  // a name that moved is found again this soon
  static constexpr std::size_t kAnswersPendingMax = 64;

  // `meet` is called with who seems to have a name that was asked for: it will be talked to.
  DnsResponder(std::string pool, const Prefix& subnet, const Prefix& subnet6, Directory& directory,
               Dht::Likely meet = nullptr);

  // `reply` gets the whole message, now or later; never, for what is no query or beyond the bound.
  void ask(ByteView query, std::function<void(const Bytes&)> reply);

 private:
  using Answer = std::function<void(DnsCode, Bytes data, std::uint16_t type)>;
  void ask_name(const DnsQuestion& question, Answer answer);
  void ask_address(const IpAddress& ip, Answer answer);

  const std::string pool_;
  const Prefix subnet_, subnet6_;
  Directory& directory_;
  const Dht::Likely meet_;
  std::size_t pending_ = 0;
};

}  // namespace wow
