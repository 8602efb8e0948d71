#include "dht/collector.h"

namespace wow::dht {
namespace {

constexpr std::size_t kBatch = 64;        // keys asked about at once
constexpr std::size_t kRefreshesMax = 8;  // of keys that some member lags behind in, in one batch
constexpr Duration kAnswerTime = 3s;
constexpr Duration kNextBatch = 500ms;

}  // namespace

void Collector::collect() {
  if (timer_.is_set()) return;
  replica_.collect_promises();
  const Epoch* epoch = replica_.serving();
  if (!epoch) return;
  auto keys = replica_.long_expired(after_key_, kBatch);
  after_key_ = keys.size() < kBatch ? std::string() : keys.back();
  if (keys.empty()) return;
  epoch_ = epoch->group.id;
  if (epoch->group.members.size() == 1) return replica_.forget_keys(epoch_, keys);
  id_ = context_.fresh_id();
  keys_.clear();
  answered_.clear();
  pb::DhtMessage message;
  message.set_id(id_);
  set_epoch(message, epoch_);
  for (const auto& key : keys) {
    keys_[key] = {};
    message.mutable_list_keys()->add_keys(key);
  }
  timer_.after(kAnswerTime, [this] { id_ = 0; });
  const auto members = epoch->group.members;
  for (const auto& member : members) {
    if (member != context_.self()) context_.send(member.address, message);
  }
}

void Collector::on_reply(const ReplicaId& from, const pb::DhtMessage& message) {
  const Epoch* epoch = replica_.held(epoch_);
  if (id_ == 0 || message.id() != id_ || epoch_of(message) != epoch_ || !epoch) return;
  if (!epoch->group.has(from) || !answered_.insert(from.address).second) return;
  const TimePoint now = context_.clock.now();
  std::map<std::string, const pb::Register*> theirs;
  for (const auto& wire : message.list_keys_reply().registers()) theirs[wire.key()] = &wire;
  for (auto& [key, result] : keys_) {
    const auto own = epoch->registers.find(key);
    if (own == epoch->registers.end() || !own->second.value) continue;
    const auto found = theirs.find(key);
    if (found == theirs.end()) {
      ++result.agreeing;
      continue;
    }
    const pb::Register& wire = *found->second;
    const Stamp stamp{wire.accepted_epoch(), Ballot::parse(wire.accepted())};
    result.differs |= stamp != own->second.accepted;
    const bool expired = std::chrono::milliseconds(std::min(wire.age_ms(), 4 * to_ms(kTtlMax))) >
                         own->second.value->lifetime();
    result.agreeing += stamp == own->second.accepted && expired && own->second.is_expired(now);
  }
  if (answered_.size() + 1 == epoch->group.members.size()) finish();
}

void Collector::finish() {
  const Epoch* epoch = replica_.held(epoch_);
  std::vector<std::string> dead;
  std::size_t refreshed = 0;
  for (const auto& [key, result] : keys_) {
    if (result.agreeing == answered_.size()) {
      dead.push_back(key);
    } else if (result.differs && refreshed < kRefreshesMax && !epoch->sealed) {
      ++refreshed;
      coordinator_.refresh(epoch->group, key);
    }
  }
  id_ = 0;
  replica_.forget_keys(epoch_, dead);
  timer_.cancel();
  if (!after_key_.empty()) timer_.after(kNextBatch, [this] { collect(); });
}

}  // namespace wow::dht
