#include "overlay/lists.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "nat/check_list.h"
#include "overlay/limits.h"
#include "overlay/near_set.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

constexpr Roles kListedBits = kNearBit | kLeafBit;  // who hears where to reach the members, too

bool is_far(const Edge& edge) { return ((edge.ours | edge.theirs) & kFarBit) != 0; }

// FNV-1a; zero stands for "no list". Delays are left out, for they always change: taken out
// meanwhile, since lists that need not be sent are most of them, and a copy of each would cost.
std::uint32_t version_of(pb::Neighbours& list) {
  std::array<std::uint32_t, ring::kListMembersMax> delays{};
  for (int i = 0; i < list.members_size(); ++i) {
    delays[static_cast<std::size_t>(i)] = list.members(i).delay();
    list.mutable_members(i)->clear_delay();
  }
  std::uint32_t out = 2166136261u;
  for (const char c : list.SerializeAsString())
    out = (out ^ static_cast<std::uint8_t>(c)) * 16777619u;
  for (int i = 0; i < list.members_size(); ++i)
    list.mutable_members(i)->set_delay(delays[static_cast<std::size_t>(i)]);
  return out == 0 ? 1 : out;
}

std::uint8_t load_of(std::uint32_t told) {
  return static_cast<std::uint8_t>(std::min<std::uint32_t>(told, 100));
}

}  // namespace

Lists::Lists(Hub& hub, Handlers handlers)
    : hub_(hub),
      handlers_(std::move(handlers)),
      announce_(hub.clock),
      repeat_(hub.clock),
      summary_(hub.clock) {}

void Lists::start() {
  summary_.after(hub_.random.jittered(ring::kSummaryInterval), [this] { summarize(); });
}

void Lists::stop() {
  for (Timer* t : {&announce_, &repeat_, &summary_}) t->cancel();
}

void Lists::near_changed() {
  if (!announce_.is_set()) announce_.after(ring::kAnnounceDelay, [this] { announce(false); });
  repeat_.after(ring::kAnnounceRepeat, [this] { announce(true); });
}

// Each gets its own list: those near it by what we know, and those near us.
void Lists::tell(Edge& edge, bool even_unchanged) {
  pb::Link link;
  pb::Neighbours& list = *link.mutable_neighbours();
  const bool listed = ((edge.ours | edge.theirs) & kListedBits) != 0;
  std::size_t described = listed ? ring::kListDescribedMax : 0;
  for (const Member& m : known_near(edge.peer, ring::kListMembersMax)) {
    m.write(*list.add_members(), described > 0 ? ring::kListEndpointsMax : 0);
    if (described > 0) --described;
  }
  const std::uint32_t version = version_of(list);
  if (version == edge.list_sent && !even_unchanged) return;
  edge.list_sent = version;
  list.set_version(version);
  list.set_load(own_load());
  hub_.send_link(edge.peer, link);
}

void Lists::on_neighbours(const Address& from, const pb::Neighbours& message) {
  Edge* edge = hub_.edges.find(from);
  if (edge == nullptr || message.members_size() > static_cast<int>(ring::kListMembersMax)) {
    return hub_.metrics.add(Metric::kDropMalformed);
  }
  std::vector<Address> knows;
  pb::Neighbours described;  // the same without their addresses
  bool has_endpoints = false;
  for (const auto& m : message.members()) {
    const auto member = Member::parse(m);
    if (!member) return hub_.metrics.add(Metric::kDropMalformed);
    const Address& a = member->address;
    if (a == hub_.self || std::find(knows.begin(), knows.end(), a) != knows.end()) continue;
    has_endpoints = has_endpoints || !member->endpoints.empty();
    knows.push_back(a);
    *described.add_members() = m;
    described.mutable_members()->rbegin()->clear_address();
  }
  // A common neighbour that is no longer listed may be dead: data without an answer makes its
  // session look.
  for (const Address& before : edge->knows) {
    Edge* common = hub_.edges.find(before);
    if (common != nullptr && common->usable() && (common->ours & kNearBit) != 0 &&
        std::find(knows.begin(), knows.end(), before) == knows.end()) {
      tell(*common, true);
    }
  }
  for (const Address& a : knows) {
    const bool is_new = std::find(edge->knows.begin(), edge->knows.end(), a) == edge->knows.end();
    if (is_new && edge->list_heard != 0) handlers_.lives(a);
  }
  edge->list_heard = message.version();
  edge->load = load_of(message.load());
  edge->list = has_endpoints ? described.SerializeAsString() : std::string();
  edge->list.shrink_to_fit();
  hub_.edges.set_knows(*edge, std::move(knows));
  handlers_.heard();
}

void Lists::on_summary(const Address& from, const pb::Summary& message) {
  Edge* edge = hub_.edges.find(from);
  if (edge == nullptr) return;
  handlers_.settings_number(from, message.settings_number());
  edge->load = load_of(message.load());
  if (message.send_list()) return tell(*edge, true);
  if (message.list_version() != edge->list_heard) send_summary(*edge, true);
}

std::vector<Member> Lists::known_near(const Address& target, std::size_t most) const {
  // Around the target, for whoever stands there; around us, for whoever routes through us.
  std::vector<Address> all = hub_.edges.members();
  std::erase(all, target);
  std::vector<Address> chosen = near_set(target, all, ring::kNearPerSide);
  for (const Address& a : near_set(hub_.self, all, ring::kNearPerSide)) {
    if (std::find(chosen.begin(), chosen.end(), a) == chosen.end()) chosen.push_back(a);
  }
  // Look-ahead for others, and a way back to us when we have moved.
  for (const auto& [peer, edge] : hub_.edges.all()) {
    const bool useful = edge.usable() && ((edge.ours & kLeafBit) != 0 || is_far(edge));
    if (useful && peer != target && chosen.size() < most &&
        std::find(chosen.begin(), chosen.end(), peer) == chosen.end()) {
      chosen.push_back(peer);
    }
  }
  std::vector<Member> out;
  for (const Address& a : chosen) {
    if (out.size() < most) out.push_back(described(*hub_.edges.find(a)));
  }
  return out;
}

std::uint32_t Lists::own_load() const {
  return static_cast<std::uint32_t>(hub_.sessions.circuits().load(hub_.clock.now()));
}

Member Lists::described(const Edge& edge) const {
  Member out{edge.peer, {}, edge.direct ? edge.round_trip : Duration()};
  if (const Session* session = hub_.sessions.find(edge.peer);
      session != nullptr && session->is_direct() &&
      session->path().path.endpoint.can_be_dialled()) {
    const Endpoint& used = session->path().path.endpoint;
    out.endpoints.push_back(used);
    // Everybody can try there. What it says besides may be a victim's, and would be ours to answer
    // for.
    if (!used.is_stream() && !used.ip.is_private()) return out;
  }
  for (const Endpoint& e : edge.endpoints) {
    if (out.endpoints.size() < kCandidatesMax &&
        std::find(out.endpoints.begin(), out.endpoints.end(), e) == out.endpoints.end()) {
      out.endpoints.push_back(e);
    }
  }
  return out;
}

void Lists::announce(bool even_unchanged) {
  for (auto& [peer, edge] : hub_.edges.all()) {
    if (edge.is_near()) tell(edge, even_unchanged);
  }
}

// Near edges hear it each time, far edges more rarely: their look-ahead may be old.
void Lists::summarize() {
  const bool far_too = ++rounds_ % ring::kSummaryFarEvery == 0;
  for (auto& [peer, edge] : hub_.edges.all()) {
    if (edge.is_near() || (far_too && is_far(edge))) send_summary(edge, false);
  }
  summary_.after(hub_.random.jittered(ring::kSummaryInterval), [this] { summarize(); });
}

void Lists::send_summary(Edge& edge, bool send_list) {
  pb::Link link;
  pb::Summary& message = *link.mutable_summary();
  // What has changed since is news as well.
  if (!send_list && is_far(edge)) tell(edge, false);
  message.set_list_version(edge.list_sent);
  message.set_settings_number(hub_.credentials.settings_number());
  message.set_send_list(send_list);
  message.set_load(own_load());
  hub_.send_link(edge.peer, link, send_list ? Answer::kExpected : Answer::kNone);
}

}  // namespace wow
