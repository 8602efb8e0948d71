#include "overlay/nat_answers.h"

#include <algorithm>

namespace wow {

static_assert(sizeof(NatCookie) == RetryTokens::kBytes);

NatAnswers::NatAnswers(Credentials& credentials, Clock& clock, Random& random, MetricSlot& metrics,
                       Handlers handlers)
    : clock_(clock),
      metrics_(metrics),
      handlers_(std::move(handlers)),
      seal_(credentials.pool_key(), random),
      random_(random) {}

const RetryTokens& NatAnswers::cookies() {
  if (!cookies_) cookies_.emplace(random_);
  return *cookies_;
}

Bytes NatAnswers::answer(std::uint64_t token, const Endpoint& to, std::size_t bytes) {
  NatAnswer out;
  out.token = token;
  std::ranges::copy(cookies().make(to, clock_.now()), out.cookie.begin());
  out.wall = clock_.wall();
  out.bytes = static_cast<std::uint16_t>(std::min<std::size_t>(bytes, 0xffff));
  out.other_port = other_port_;
  out.seen = to;
  if (const auto helper = handlers_.helper(to)) out.other_member = helper->endpoint;
  return seal_.seal(PacketType::kQuestion, out.write());
}

void NatAnswers::on_packet(MutableBytes packet, const Endpoint& from, bool at_other_port) {
  if (!questions_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  const auto text = seal_.open(PacketType::kQuestion, packet);
  if (!text) return metrics_.add(Metric::kDropStranger);
  const auto question = NatQuestion::parse(*text);
  if (!question) return metrics_.add(Metric::kDropMalformed);
  const auto& here = at_other_port ? handlers_.send_other : handlers_.send;
  const auto& elsewhere = at_other_port ? handlers_.send : handlers_.send_other;
  if (question->from == NatQuestion::From::kHere)
    return here(from, answer(question->token, from, text->size()));
  if (!cookies().valid(question->cookie, from, clock_.now()))
    return metrics_.add(Metric::kDropAmplification);
  if (question->from == NatQuestion::From::kOtherPort) {
    if (other_port_ != 0) elsewhere(from, answer(question->token, from, text->size()));
    return;
  }
  if (const auto helper = handlers_.helper(from))
    handlers_.ask(helper->address, NatErrand{question->token, from}.write());
}

void NatAnswers::on_errand(const Address& from, ByteView message) {
  const TimePoint now = clock_.now();
  if (!errands_of_.take(from, now) || !errands_.pass(now))
    return metrics_.add(Metric::kDropRateLimited);
  const auto errand = NatErrand::parse(message);
  if (!errand || errand->to.is_stream() || errand->to.ip.is_multicast() ||
      errand->to.ip.is_unspecified())
    return metrics_.add(Metric::kDropMalformed);
  const Bytes said = answer(errand->token, errand->to, 0);
  // Whoever has us speak to a third has sent at least as much.
  if (said.size() <= message.size() + DataHeader::kBytes + kAeadTagBytes)
    handlers_.send(errand->to, said);
}

}  // namespace wow
