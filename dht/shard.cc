#include "dht/shard.h"

namespace wow::dht {

Shard::Shard(Common& common, RecordChecker& checker, std::uint32_t number,
             std::function<void(const Lineage&)> lineage_changed)
    : node_incarnation_(common.incarnation),
      store_(common.batch, number),
      context_{common.network,
               store_,
               common.credentials,
               common.clock,
               common.random,
               common.metrics,
               common.options,
               common.incarnation,
               0,
               number,
               shard_centre(number),
               &common.peers,
               common.holdings},
      replica_(context_, checker),
      book_(context_, replica_),
      coordinator_(context_, replica_, book_, checker),
      membership_(
          context_, replica_, book_, coordinator_,
          [this, changed = std::move(lineage_changed)] { changed(book_.newest()->id.lineage); }) {}

void Shard::load(const std::string& key, ByteView value) {
  if (key == kGenerationKey && value.size() == 8) {
    context_.generation = get_big_endian(value.data(), 8);
    context_.incarnation = node_incarnation_ + context_.generation;
    context_.peers->renounced = true;
  }
  replica_.load(key, value);
  book_.load(key, value);
}

void Shard::start() {
  replica_.loaded();
  membership_.start();
}

bool Shard::is_of_group(const Address& node) const {
  return book_.newest() && book_.newest()->find(node);
}

bool Shard::is_serving() const {
  const Group* group = book_.newest();
  return group && replica_.serving_id() == group->id;
}

void Shard::on_message(const ReplicaId& from, const pb::DhtMessage& message) {
  if (message.has_known()) {
    if (const auto group = Group::parse(message.known())) book_.learn(*group);
  }
  context_.peers->hear(from, context_.shard, message.same_everywhere(), context_.clock.now());
  // What these name is the epoch that they address.
  switch (message.kind_case()) {
    case pb::DhtMessage::kPrepare:
    case pb::DhtMessage::kAccept:
    case pb::DhtMessage::kListKeys:
      membership_.hear(from, {});
      return on_replica_request(from, message);
    case pb::DhtMessage::kFetch:
      return membership_.on_fetch(from, message);
    case pb::DhtMessage::kFetchReply:
      return membership_.on_fetch_reply(from, message);
    case pb::DhtMessage::kListKeysReply:
      membership_.on_list_keys_reply(from, message);
      return coordinator_.on_reply(from, message);
    default:
      break;
  }
  book_.hear_serving(from, epoch_of(message));
  membership_.hear(from, epoch_of(message));
  switch (message.kind_case()) {
    case pb::DhtMessage::kClientRequest:
      return coordinator_.on_request(from.address, message);
    case pb::DhtMessage::kReplicaReply:
      return coordinator_.on_reply(from, message);
    case pb::DhtMessage::kQuery:
      return membership_.on_query(from.address, message);
    case pb::DhtMessage::kAnnounce:
      return membership_.on_announce(from, message);
    case pb::DhtMessage::kClientReply:
      return;
    default:
      context_.metrics.add(Metric::kDropMalformed);
  }
}

// From another coordinator, which must be a member of the epoch that it names.
void Shard::on_replica_request(const ReplicaId& from, const pb::DhtMessage& message) {
  const EpochId asked = epoch_of(message);
  const Epoch* epoch = replica_.held(asked);
  pb::DhtMessage out;
  if (message.has_list_keys()) {
    auto page =
        epoch && epoch->group.has(from) ? replica_.list(asked, message.list_keys()) : std::nullopt;
    if (!page) return;
    set_epoch(out, asked);
    *out.mutable_list_keys_reply() = std::move(*page);
    return context_.reply(from.address, message, out);
  }
  std::optional<pb::ReplicaReply> answer;
  if (!epoch || !epoch->group.has(from)) {
    answer.emplace().set_status(pb::ReplicaReply::WRONG_EPOCH);
  } else if (message.has_accept()) {
    answer = replica_.accept(asked, message.accept());
  } else {
    answer = replica_.prepare(asked, message.prepare());
  }
  if (!answer) return;
  if (answer->status() == pb::ReplicaReply::WRONG_EPOCH && book_.newest()) {
    *out.mutable_known() = book_.newest()->to_wire();
  }
  set_epoch(out, replica_.serving_id());
  *out.mutable_replica_reply() = std::move(*answer);
  context_.reply(from.address, message, out);
}

}  // namespace wow::dht
