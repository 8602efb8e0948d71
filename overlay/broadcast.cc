#include "overlay/broadcast.h"

#include <algorithm>

#include "overlay/limits.h"
#include "overlay/node.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

constexpr std::string_view kContext = "wow broadcast 1";

Bytes signed_part(std::string_view body) { return concat({view_of(kContext), view_of(body)}); }

std::int64_t milliseconds(WallTime t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

}  // namespace

bool Broadcasts::Arc::has(const Address& a) const {
  if (a == begin || a == end) return false;
  return begin == end || between(a, begin, end);
}

void Broadcasts::stop() {
  timer_.cancel();
  tasks_.clear();
}

bool Broadcasts::send(std::uint8_t service, ByteView payload) {
  if (payload.size() > ring::kBroadcastBytesMax) return false;
  pb::BroadcastBody body;
  body.set_number(hub_.random.u64());
  body.set_service(service);
  body.set_payload(to_string(payload));
  // Never older than our last, whatever happens to our calendar.
  last_sent_at_ = std::max(last_sent_at_ + 1, milliseconds(hub_.clock.wall()));
  body.set_sent_at(last_sent_at_);
  pb::Broadcast message;
  message.set_body(body.SerializeAsString());
  message.set_public_key(to_string(hub_.credentials.public_key()));
  message.set_signature(to_string(hub_.credentials.sign(signed_part(message.body()))));
  known_.remember(hub_.self, {body.sent_at(), body.number()}, hub_.clock.now());
  Task task;
  task.message = to_bytes(message.SerializeAsString());
  begin({hub_.self, body.number(), {hub_.self, hub_.self}}, std::move(task));
  return true;
}

void Broadcasts::on_message(const Address& from, ByteView bytes) {
  pb::BroadcastMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  if (message.has_broadcast()) return on_broadcast(from, message.broadcast());
  if (message.has_ack()) return on_ack(from, message.ack());
  hub_.metrics.add(Metric::kDropMalformed);
}

void Broadcasts::on_broadcast(const Address& from, const pb::Broadcast& message) {
  pb::BroadcastBody body;
  const auto begin_at = Address::parse(view_of(message.begin()));
  const auto end_at = Address::parse(view_of(message.end()));
  if (!begin_at || !end_at || message.public_key().size() != 32 ||
      message.signature().size() != 64 || !body.ParseFromString(message.body()) ||
      body.payload().size() > ring::kBroadcastBytesMax || body.service() > 255 ||
      message.hops() >= ring::kBroadcastHopsMax) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  const auto origin = hub_.credentials.signer(
      view_of(message.public_key()), signed_part(message.body()), view_of(message.signature()));
  if (!origin) return hub_.metrics.add(Metric::kDropBadSignature);
  const Key key{*origin, body.number(), {*begin_at, *end_at}};
  if (tasks_.contains(key)) return acknowledge(from, key, false);
  const TimePoint now = hub_.clock.now();
  const SignedTimes::Mark mark{body.sent_at(), body.number()};
  const auto age = known_.age(*origin, mark, now);
  if (age == SignedTimes::Age::kOld) return hub_.metrics.add(Metric::kDropReplayed);
  const bool fresh = age == SignedTimes::Age::kNew;
  if (fresh && !rates_.take(*origin, now)) return hub_.metrics.add(Metric::kDropRateLimited);
  if (!arcs_.take(from, now)) return hub_.metrics.add(Metric::kDropRateLimited);
  if (tasks_.size() >= ring::kBroadcastTasksMax) return hub_.metrics.add(Metric::kDropQueueFull);
  if (fresh) known_.remember(*origin, mark, now);
  acknowledge(from, key, false);
  Task task;
  task.parent = from;
  task.hops = message.hops() + 1;
  task.message = to_bytes(message.SerializeAsString());
  begin(key, std::move(task));
  if (fresh && *origin != hub_.self) {
    deliver_(*origin, static_cast<std::uint8_t>(body.service()), view_of(body.payload()),
             message.hops() + 1);
  }
}

void Broadcasts::on_ack(const Address& from, const pb::BroadcastAck& message) {
  const auto origin = Address::parse(view_of(message.origin()));
  const auto begin_at = Address::parse(view_of(message.begin()));
  const auto end_at = Address::parse(view_of(message.end()));
  if (!origin || !begin_at || !end_at) return hub_.metrics.add(Metric::kDropMalformed);
  const Arc arc{*begin_at, *end_at};
  for (auto& [key, task] : tasks_) {
    if (std::get<0>(key) != *origin || std::get<1>(key) != message.number()) continue;
    for (auto child = task.children.begin(); child != task.children.end(); ++child) {
      if (child->peer != from || child->arc != arc) continue;
      child->taken = true;
      child->due = task.until;
      if (!message.done()) return;
      task.children.erase(child);
      return check_done(Key(key));
    }
  }
}

void Broadcasts::begin(const Key& key, Task task) {
  const Arc& arc = std::get<2>(key);
  std::vector<Address> edges;
  for (const Address& a : hub_.edges.members()) {
    if (arc.has(a)) edges.push_back(a);
  }
  std::sort(edges.begin(), edges.end(), [&](const Address& a, const Address& b) {
    return clockwise(arc.begin, a) < clockwise(arc.begin, b);
  });
  task.until = hub_.clock.now() + ring::kBroadcastLimit;
  Task& kept = tasks_[key] = std::move(task);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const Address& end = i + 1 < edges.size() ? edges[i + 1] : arc.end;
    kept.children.push_back({{edges[i], end}, edges[i], {}, false, {}});
  }
  // What lies before our first edge on the arc: that one knows it, as a neighbour.
  if (!edges.empty() && arc.begin != hub_.self && arc.begin != arc.end) {
    kept.children.push_back({{arc.begin, edges[0]}, edges[0], {}, false, {}});
  }
  // We know nobody on the arc, which was another's: whoever stands nearer to its beginning may.
  if (edges.empty() && arc.begin != hub_.self) {
    Address best = hub_.self;
    for (const Address& a : hub_.edges.members()) {
      if (a != arc.begin && a != kept.parent && nearer(a, best, arc.begin)) best = a;
    }
    if (best != hub_.self) kept.children.push_back({arc, best, {}, false, {}});
  }
  for (Child& child : kept.children) hand(kept, child);
  check_done(key);
  arm();
}

void Broadcasts::hand(const Task& task, Child& child) {
  pb::BroadcastMessage out;
  pb::Broadcast& message = *out.mutable_broadcast();
  message.ParseFromArray(task.message.data(), static_cast<int>(task.message.size()));
  message.set_begin(to_string(child.arc.begin.bytes()));
  message.set_end(to_string(child.arc.end.bytes()));
  message.set_hops(task.hops);
  const Session* session = hub_.sessions.find(child.peer);
  const Duration round_trip = session == nullptr ? Duration() : session->path().round_trip;
  child.due = hub_.clock.now() + ring::kBroadcastPatience + 2 * round_trip;
  child.tried.push_back(child.peer);
  hub_.send_message(child.peer, static_cast<std::uint8_t>(Service::kBroadcast),
                    view_of(out.SerializeAsString()));
}

// The arc of a child that is silent or gone: once more the same, which may only have lost a packet;
// then whoever stands nearest to its beginning, on either side, and so has edges into it.
bool Broadcasts::hand_to_another(const Task& task, Child& child) {
  if (static_cast<int>(child.tried.size()) >= ring::kBroadcastTriesMax) return false;
  const bool once_more = child.tried.size() == 1 && !child.taken && hub_.edges.find(child.peer);
  if (!once_more) {
    Address best;
    for (const Address& a : hub_.edges.members()) {
      if (std::find(child.tried.begin(), child.tried.end(), a) != child.tried.end()) continue;
      if (a == task.parent) continue;
      if (best.is_zero() || nearer(a, best, child.arc.begin)) best = a;
    }
    if (best.is_zero()) return false;
    child.peer = best;
  }
  child.taken = false;
  hand(task, child);
  return true;
}

void Broadcasts::check_done(const Key& key) {
  const auto it = tasks_.find(key);
  if (it == tasks_.end() || !it->second.children.empty()) return;
  const Address parent = it->second.parent;
  tasks_.erase(it);
  if (!parent.is_zero()) acknowledge(parent, key, true);
}

void Broadcasts::acknowledge(const Address& to, const Key& key, bool done) {
  pb::BroadcastMessage out;
  pb::BroadcastAck& ack = *out.mutable_ack();
  const auto& [origin, number, arc] = key;
  ack.set_origin(to_string(origin.bytes()));
  ack.set_number(number);
  ack.set_begin(to_string(arc.begin.bytes()));
  ack.set_end(to_string(arc.end.bytes()));
  ack.set_done(done);
  hub_.send_message(to, static_cast<std::uint8_t>(Service::kBroadcast),
                    view_of(out.SerializeAsString()));
}

void Broadcasts::lost(const Address& peer) {
  for (auto& [key, task] : tasks_) {
    for (Child& child : task.children) {
      if (child.peer == peer) child.due = hub_.clock.now();
    }
  }
  if (!tasks_.empty()) timer_.after(Duration::zero(), [this] { tick(); });
}

void Broadcasts::tick() {
  const TimePoint now = hub_.clock.now();
  std::vector<Key> keys;
  for (auto& [key, task] : tasks_) {
    keys.push_back(key);
    std::erase_if(task.children, [&](Child& child) {
      if (child.due > now) return false;
      return now >= task.until || !hand_to_another(task, child);
    });
  }
  for (const Key& key : keys) check_done(key);
  arm();
}

void Broadcasts::arm() {
  TimePoint first = TimePoint::max();
  for (const auto& [key, task] : tasks_) {
    for (const Child& child : task.children) first = std::min(first, child.due);
  }
  if (first == TimePoint::max()) return timer_.cancel();
  timer_.after(std::max<Duration>(first - hub_.clock.now(), 1ms), [this] { tick(); });
}

void Broadcasts::forget_old() {
  const TimePoint now = hub_.clock.now();
  rates_.sweep(now);
  arcs_.sweep(now);
  known_.sweep(now);
}

}  // namespace wow
