#include "tap/pinger.h"

#include <utility>

namespace wow {

Pinger::Pinger(Clock& clock, Random& random,
               std::function<void(const Address& to, const pb::VnetMessage&)> send)
    : clock_(clock), random_(random), send_(std::move(send)) {}

void Pinger::echo(const Address& node, Duration limit, Done done) {
  if (pending_.size() >= kPendingMax) {
    return done(Error{ErrorCode::kExhausted, "too many echoes are under way"});
  }
  const std::uint64_t id = random_.u64();
  auto& pending = pending_[id];
  pending = std::make_unique<Pending>(clock_, node, std::move(done));
  pending->limit.after(limit, [this, id, node] {
    finish(id, Error{ErrorCode::kUnavailable, "node " + node.short_hex() + " does not answer"});
  });
  pb::VnetMessage message;
  message.mutable_echo()->set_id(id);
  message.mutable_echo()->set_sent_ns(pending->sent.time_since_epoch().count());
  send_(node, message);
}

void Pinger::on_echo(const Address& from, const pb::Echo& echo) {
  if (!echo.reply()) {
    pb::VnetMessage message;
    *message.mutable_echo() = echo;
    message.mutable_echo()->set_reply(true);
    return send_(from, message);
  }
  const auto found = pending_.find(echo.id());
  if (found == pending_.end() || found->second->node != from) return;
  finish(echo.id(), clock_.now() - found->second->sent);
}

void Pinger::finish(std::uint64_t id, Result<Duration> result) {
  const auto pending = std::move(pending_.extract(id).mapped());
  pending->limit.cancel();
  pending->done(std::move(result));
}

}  // namespace wow
