// Answers the questions of a host that wants to know what its network does (nat/nat_question.h):
// from where they were asked, from our other port, or by another member. Little, at a limited rate,
// and never to a third. Synchronous; control thread only.
#pragma once

#include <functional>

#include "base/metrics.h"
#include "base/random.h"
#include "nat/nat_question.h"
#include "overlay/rate_table.h"
#include "tunnel/credentials.h"
#include "tunnel/pool_seal.h"
#include "tunnel/rate_limit.h"
#include "tunnel/retry_token.h"

namespace wow {

class NatAnswers {
 public:
  static constexpr int kQuestionsPerSecond = 50;  // looked at, of all askers
  static constexpr double kErrandsPerSecond = 5;  // for one member
  static constexpr double kErrandsBurst = 20;
  static constexpr int kErrandsInAllPerSecond = 20;

  struct Helper {
    Address address;
    Endpoint endpoint;
  };
  struct Handlers {
    std::function<void(const Endpoint& to, ByteView packet)> send;        // from the main port
    std::function<void(const Endpoint& to, ByteView packet)> send_other;  // from the other one
    // A member with a public address that is neither ours nor the asker's.
    std::function<std::optional<Helper>(const Endpoint& asker)> helper;
    std::function<void(const Address& helper, ByteView errand)> ask;
  };
  NatAnswers(Credentials& credentials, Clock& clock, Random& random, MetricSlot& metrics,
             Handlers handlers);

  // The number of our other port; 0: there is none.
  void set_other_port(std::uint16_t port) { other_port_ = port; }
  // A packet of type kQuestion, at the main port or at the other one.
  void on_packet(MutableBytes packet, const Endpoint& from, bool at_other_port);
  // In a session: what another member wants said.
  void on_errand(const Address& from, ByteView message);
  void forget_old() { errands_of_.sweep(clock_.now()); }

 private:
  const RetryTokens& cookies();
  Bytes answer(std::uint64_t token, const Endpoint& to, std::size_t bytes);

  Clock& clock_;
  MetricSlot& metrics_;
  Handlers handlers_;
  PoolSeal seal_;
  Random& random_;
  std::optional<RetryTokens> cookies_;  // made when first needed: most nodes are never asked
  RateLimit questions_{kQuestionsPerSecond}, errands_{kErrandsInAllPerSecond};
  RateTable errands_of_{kErrandsPerSecond, kErrandsBurst};
  std::uint16_t other_port_ = 0;
};

}  // namespace wow
