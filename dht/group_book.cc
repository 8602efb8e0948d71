#include "dht/group_book.h"

#include <utility>

#include "base/log.h"

namespace wow::dht {
namespace {

constexpr char kStoreKey[] = "hint";
// A better lineage's group that is silent for so long does not keep us from a living one.
constexpr Duration kSilentAfter = 10s;

}  // namespace

void GroupBook::load(const std::string& key, ByteView value) {
  pb::Group wire;
  if (key != kStoreKey || !wire.ParseFromArray(value.data(), static_cast<int>(value.size())))
    return;
  if (auto group = Group::parse(wire)) newest_ = Known{std::move(*group), {}, {}};
}

void GroupBook::on_change(std::function<void()> newest, std::function<void()> rival,
                          std::function<void()> claim) {
  claim_changed_ = std::move(claim);
  newest_changed_ = std::move(newest);
  rival_changed_ = std::move(rival);
}

void GroupBook::learn(const Group& group) {
  const auto& founder = context_.options.founder;
  if (founder && group.id.lineage.founder != *founder) return;
  // What follows an epoch that we hold names its members as those before.
  const Epoch* before = replica_.held({group.id.lineage, group.id.epoch - 1});
  if (before && group.previous != before->group.members) return;
  if (!newest_) return adopt({group, {}, {}});
  const EpochId& id = newest_->group.id;
  if (group.id.lineage == id.lineage) {
    if (group.id.epoch > id.epoch) {
      if (replica_.serving_id() != id) return adopt({group, {}, {}});
      if (claim_ && claim_->id.epoch >= group.id.epoch) return;
      claim_ = group;
      return claim_changed_();
    }
    // A hint may have been false: one that stays silent gives way to an earlier group that lives.
    if (group.id.epoch == id.epoch || context_.clock.now() - newest_->heard <= kSilentAfter) return;
  }
  if (rival_ && rival_->group.id.lineage < group.id.lineage) return;
  if (rival_ && rival_->group.id.lineage == group.id.lineage &&
      rival_->group.id.epoch >= group.id.epoch) {
    return;
  }
  rival_ = Known{group, {}, {}};
  rival_changed_();
}

void GroupBook::believe_claim(const std::optional<Group>& next) {
  auto claim = std::exchange(claim_, std::nullopt);
  if (next && (!claim || claim->id.epoch < next->id.epoch)) claim = next;
  if (claim && claim->id.epoch > newest_->group.id.epoch) adopt({std::move(*claim), {}, {}});
}

void GroupBook::hear_serving(const ReplicaId& from, const EpochId& serves) {
  for (auto* known : {&newest_, &rival_}) {
    if (!*known || (*known)->group.id != serves || !(*known)->group.has(from)) continue;
    (*known)->serving.insert(from.address);
    (*known)->heard = context_.clock.now();
  }
  if (!rival_ || !is_alive(*rival_) || !should_switch()) return;
  Known winner = std::move(*rival_);
  rival_.reset();
  adopt(std::move(winner));
}

bool GroupBook::should_switch() const {
  if (rival_->group.id.lineage < newest_->group.id.lineage) return true;
  return !replica_.holds_lineage(newest_->group.id.lineage) &&
         context_.clock.now() - newest_->heard > kSilentAfter;
}

void GroupBook::adopt(Known known) {
  if (newest_ && newest_->group.id.lineage != known.group.id.lineage) {
    log_warn("dht lineage changes", {{"from", newest_->group.id.lineage.founder.short_hex()},
                                     {"to", known.group.id.lineage.founder.short_hex()}});
  }
  claim_.reset();
  newest_ = std::move(known);
  if (newest_->heard == TimePoint{}) newest_->heard = context_.clock.now();
  // Best effort: what must not be forgotten is in the replica's own epochs.
  context_.store.write(kStoreKey, view_of(newest_->group.to_wire().SerializeAsString()));
  newest_changed_();
}

}  // namespace wow::dht
