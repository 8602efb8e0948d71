// A socket that asks members where they see it (nat/nat_question.h), and waits. Blocking: for
// `wow doctor`.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/asio/system_random.h"
#include "nat/nat_question.h"
#include "tunnel/pool_seal.h"

namespace wow {

class QuestionSocket {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kRepeat{150};  // a question; doubles
  static constexpr Milliseconds kRepeatMax{2000};
  static constexpr Milliseconds kPatience{1200};  // with an answer

  struct Answer : NatAnswer {
    Endpoint from;
    Milliseconds after{};
  };
  struct Question {
    Endpoint server;
    NatQuestion::From from = NatQuestion::From::kHere;
    NatCookie cookie{};
    std::size_t ip_bytes = 0;  // of the whole packet, never fragmented; 0: as short as it may be
  };

  // Of the family of `like`; not open if the machine has none of that family.
  QuestionSocket(ByteView pool_key, const IpAddress& like);
  ~QuestionSocket();
  QuestionSocket(const QuestionSocket&) = delete;
  bool is_open() const { return fd_ >= 0; }
  std::uint16_t port() const;
  // From which of our addresses `to` is spoken to; unspecified if there is no route.
  static IpAddress own_address(const IpAddress& to);

  // Nothing if there is no answer in time.
  std::optional<Answer> ask(const Question& question, Milliseconds patience = kPatience);
  // One datagram to anywhere, which hears() of that socket recognizes; and whether it came.
  void say(const Endpoint& to, std::uint64_t token);
  bool hears(std::uint64_t token, Milliseconds patience);

 private:
  bool send(const Endpoint& to, ByteView text);
  std::optional<std::pair<Bytes, Endpoint>> receive(std::chrono::steady_clock::time_point end);

  SystemRandom random_;
  PoolSeal seal_;
  bool v4_;
  int fd_ = -1;
};

}  // namespace wow
