#include "overlay/punch.h"

#include <algorithm>
#include <cstdlib>

#include "nat/check_list.h"
#include "overlay/node.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

constexpr Duration kCreditPause = 50ms;  // until the peer's next report may have come

std::optional<PortReport> parse(const pb::Ports& message, const CandidateRules& rules) {
  PortReport out;
  switch (message.choice()) {
    case pb::Ports::CHOICE_KEPT:
      out.choice = PortChoice::kKept;
      break;
    case pb::Ports::CHOICE_STEPPING:
      out.choice = PortChoice::kStepping;
      out.step = message.step();
      if (out.step == 0 || std::abs(out.step) > kPortStepMax) return std::nullopt;
      break;
    case pb::Ports::CHOICE_RANDOM:
      out.choice = PortChoice::kRandom;
      break;
    default:
      return std::nullopt;
  }
  const auto outside = Endpoint::from_bytes(view_of(message.outside()));
  // Only where such NATs are, and where the guesses can be nobody's on our own networks.
  if (!outside || outside->is_stream() || !outside->ip.is_v4() || outside->ip.is_private() ||
      usable_candidates({*outside}, rules).empty())
    return std::nullopt;
  out.outside = *outside;
  return out;
}

// Its usual checks do: our answers will, too.
bool gets_through(const Session& peer) {
  const auto paths = peer.paths();
  return std::ranges::any_of(paths, [](const PathState& p) { return p.path.is_direct(); });
}

int reports_for(int checks) {
  return (checks + ring::kProbesPerReport - 1) / ring::kProbesPerReport;
}

}  // namespace

Punch::Punch(Hub& hub, const PunchBudget& budget, std::function<NatMapping()> mapping)
    : hub_(hub),
      budget_(budget),
      mapping_(std::move(mapping)),
      probes_(budget.probes_per_second, std::max(1, budget.probes_per_second / 10)),
      survey_(hub, {.fresh_socket = [this] { return fresh_socket(); },
                    .done = [this](const PortReport& report) { on_surveyed(report); }}),
      timer_(hub.clock) {}

void Punch::stop() {
  attempts_.clear();
  timer_.cancel();
  survey_.stop();
}

void Punch::on_network_change() {
  attempts_.clear();
  random_until_ = {};
  sweep();
}

// Who has one port for all waits to be told the other's.
void Punch::want(const Address& peer) {
  if (budget_.probes <= 0 || !is_hard() || attempts_.contains(peer)) return;
  if (hub_.clock.now() < random_until_ && !may_open_many(peer)) return;
  Attempt* attempt = attempt_with(peer);
  if (attempt == nullptr) return;
  const Session* session = hub_.sessions.find(peer);
  const Duration round_trip = session == nullptr ? Duration() : session->path().round_trip;
  attempt->due = hub_.clock.now() + ring::kPunchAfter + 2 * round_trip;
  wake();
}

Punch::Attempt* Punch::attempt_with(const Address& peer) {
  const auto known = attempts_.find(peer);
  if (known != attempts_.end()) return &known->second;
  if (attempts_.size() >= ring::kPunchesMax) {
    const auto oldest = std::ranges::min_element(attempts_, {}, [](const auto& entry) {
      const Attempt& a = entry.second;
      return a.state == Attempt::State::kResting ? a.due : TimePoint::max();
    });
    if (oldest->second.state != Attempt::State::kResting) {
      hub_.metrics.add(Metric::kDropQueueFull);
      return nullptr;
    }
    attempts_.erase(oldest);
  }
  return &attempts_[peer];
}

void Punch::begin_try(Attempt& attempt) {
  if (attempt.tries >= ring::kPunchTries) return rest(attempt);
  ++attempt.tries;
  attempt.state = Attempt::State::kSurveying;
  attempt.due = hub_.clock.now() + ring::kSurveyLimit * (ring::kSurveyTries + 1);
  attempt.own = {};
  attempt.plan.reset();
  attempt.step.reset();
  if (hub_.clock.now() < random_until_) return on_surveyed(random_);
  survey_.begin();
}

void Punch::on_surveyed(const PortReport& report) {
  const TimePoint now = hub_.clock.now();
  if (report.choice == PortChoice::kRandom && now >= random_until_) {
    random_ = report;
    random_until_ = now + ring::kSurveyRandom;
  }
  for (auto& [peer, attempt] : attempts_) {
    if (attempt.state != Attempt::State::kSurveying) continue;
    if (report.choice == PortChoice::kUnknown) {
      rest(attempt);
      continue;
    }
    if (report.choice == PortChoice::kRandom && !may_open_many(peer)) {
      rest(attempt);
      attempt.due = now + ring::kPunchTurn;
      continue;
    }
    attempt.own = report;
    attempt.own_at = now;
    attempt.state = Attempt::State::kTrying;
    attempt.due = now + ring::kPunchTry;
    attempt.reports_left = report.choice == PortChoice::kRandom ? reports_for(budget_.probes) : 1;
    const Session* session = hub_.sessions.find(peer);
    const TimePoint soonest = session == nullptr || !is_public(peer)
                                  ? now
                                  : session->opened_at() + ring::kPunchPublicAfter;
    if (report.choice == PortChoice::kRandom && now < soonest) {
      attempt.report_at = soonest;
      attempt.due = soonest + ring::kPunchTry;
    } else {
      this->report(peer, attempt);
    }
    make_plan(peer, attempt);
  }
  wake();
}

void Punch::on_ports(Session& from, const pb::Ports& message) {
  const TimePoint now = hub_.clock.now();
  if (!reports_.take(from.peer(), now)) return hub_.metrics.add(Metric::kDropRateLimited);
  const auto told = parse(message, {hub_.options.virtual_subnet, hub_.options.allow_loopback});
  if (!told) return hub_.metrics.add(Metric::kDropMalformed);
  if (budget_.probes <= 0 || from.is_direct() || gets_through(from)) return;
  // Not known yet, and most ports would be guessed if ours were one for all. It tells us again.
  if (mapping_() == NatMapping::kUnknown) return;
  if (told->choice == PortChoice::kKept && !is_hard()) return;  // the usual checks will do
  if (told->choice == PortChoice::kRandom) {
    const bool early = now - from.opened_at() < ring::kPunchPublicAfter;
    if (!carries_traffic(from.peer()) || (mapping_() == NatMapping::kNone && early)) return;
  }
  Attempt* attempt = attempt_with(from.peer());
  if (attempt == nullptr || attempt->state == Attempt::State::kResting) return;
  const auto paid = static_cast<int>(3 * message.ByteSizeLong() / ring::kCheckBytes);
  attempt->credit = std::min(attempt->credit + paid, 2 * ring::kProbesPerReport);
  const bool news = attempt->peer != *told;
  attempt->peer = *told;
  on_report(from.peer(), *attempt, news);
  wake();
}

void Punch::on_report(const Address& peer, Attempt& attempt, bool news) {
  const TimePoint now = hub_.clock.now();
  if (is_hard()) {
    const bool known = attempt.state == Attempt::State::kTrying;
    // A port that steps on all the time is worth nothing when it is old. That of a peer with one
    // port can wait.
    const bool fresh = known && (attempt.peer.choice == PortChoice::kKept ||
                                 now - attempt.own_at < ring::kSurveyFresh);
    if (fresh && (news || !attempt.plan)) return make_plan(peer, attempt);
    if (attempt.state != Attempt::State::kSurveying && !fresh && news) begin_try(attempt);
    return;
  }
  if (news) {
    attempt.own = kept();
    attempt.state = Attempt::State::kTrying;
    attempt.due = now + ring::kPunchTry;
    attempt.reports_left = reports_for(kPunchSockets);
    // One random port is as good as another: what was begun goes on.
    if (!attempt.plan || attempt.peer.choice != PortChoice::kRandom) make_plan(peer, attempt);
  }
  if (attempt.reports_left > 0 && attempt.own.outside.is_set()) report(peer, attempt);
}

// As far as it says; a firewall may yet be in the way.
bool Punch::is_public(const Address& peer) const {
  const Edge* edge = hub_.edges.find(peer);
  return edge != nullptr && edge->nat == NatMapping::kNone;
}

bool Punch::carries_traffic(const Address& peer) const {
  const Edge* edge = hub_.edges.find(peer);
  return edge != nullptr && ((edge->ours | edge->theirs) & kShortcutBit) != 0;
}

bool Punch::may_open_many(const Address& peer) const {
  return carries_traffic(peer) && std::ranges::none_of(attempts_, [&](const auto& entry) {
           return entry.first != peer && entry.second.state == Attempt::State::kTrying &&
                  entry.second.own.choice == PortChoice::kRandom;
         });
}

PortReport Punch::kept() const {
  for (const Endpoint& e : hub_.own_member().endpoints) {
    if (!e.is_stream() && e.ip.is_v4() && !e.ip.is_private()) return {PortChoice::kKept, e, 0};
  }
  return {};
}

void Punch::make_plan(const Address& peer, Attempt& attempt) {
  if (attempt.peer.choice == PortChoice::kUnknown) return;
  const TimePoint now = hub_.clock.now();
  const bool needs_socket = attempt.own.choice == PortChoice::kStepping;
  attempt.plan =
      PunchPlan::make(attempt.own, attempt.peer, hub_.self < peer,
                      needs_socket ? fresh_socket() : std::uint8_t{0}, budget_, hub_.random);
  if (!attempt.plan) {
    attempt.step.reset();
    return rest(attempt);
  }
  attempt.step = attempt.plan->next();
  attempt.step_at = now;
  const bool by_chance =
      attempt.own.choice == PortChoice::kRandom || attempt.peer.choice == PortChoice::kRandom;
  if (!by_chance) {
    attempt.due = now + ring::kPunchTry;
    return;
  }
  const Duration pace = Duration(1s) / std::max(budget_.probes_per_second, 1);
  attempt.tries = ring::kPunchTries;
  attempt.due = now + budget_.probes * pace + ring::kPunchLast;
}

// Padded: it pays for what it asks for.
void Punch::report(const Address& peer, Attempt& attempt) {
  pb::Link link;
  pb::Ports& message = *link.mutable_ports();
  message.set_choice(static_cast<pb::Ports::Choice>(attempt.own.choice));
  message.set_outside(to_string(attempt.own.outside.bytes()));
  message.set_step(attempt.own.step);
  message.set_padding(std::string(ring::kPortsBytes, '\0'));
  hub_.send_link(peer, std::move(link), Answer::kNone);
  --attempt.reports_left;
  attempt.report_at.reset();
  // By chance it takes more checks than one report pays for.
  if (attempt.own.choice == PortChoice::kRandom && attempt.reports_left > 0) {
    const Duration pace = Duration(1s) / std::max(budget_.probes_per_second, 1);
    attempt.report_at = hub_.clock.now() + ring::kProbesPerReport * pace;
  }
}

void Punch::rest(Attempt& attempt) {
  attempt.state = Attempt::State::kResting;
  attempt.due = hub_.clock.now() + ring::kPunchAgain;
  attempt.plan.reset();
  attempt.step.reset();
  attempt.report_at.reset();
}

void Punch::on_path_changed(const Session& session) {
  if (session.is_direct()) attempts_.erase(session.peer());
}

void Punch::wake() {
  std::optional<TimePoint> next;
  const auto at = [&](TimePoint t) { next = std::min(t, next.value_or(t)); };
  for (const auto& [peer, attempt] : attempts_) {
    at(attempt.due);
    if (attempt.step) at(attempt.step_at);
    if (attempt.report_at) at(*attempt.report_at);
  }
  if (!next) return timer_.cancel();
  timer_.after(std::max(*next - hub_.clock.now(), Duration::zero()), [this] { tick(); });
}

void Punch::tick() {
  std::vector<Address> over;
  for (auto& [peer, attempt] : attempts_) {
    if (!advance(peer, attempt)) over.push_back(peer);
  }
  for (const Address& peer : over) attempts_.erase(peer);
  if (std::ranges::all_of(attempts_, [](const auto& entry) {
        return entry.second.state == Attempt::State::kResting;
      }))
    sweep();
  wake();
}

// False: there is nothing to remember of it.
bool Punch::advance(const Address& peer, Attempt& attempt) {
  const TimePoint now = hub_.clock.now();
  const Session* session = hub_.sessions.find(peer);
  const bool lives = session != nullptr && session->state() == SessionState::kOpen;
  if (attempt.state == Attempt::State::kResting) return lives && now < attempt.due;
  if (!lives || session->is_direct()) return false;
  if (attempt.report_at && now >= *attempt.report_at) report(peer, attempt);
  if (attempt.step && now >= attempt.step_at) probe(peer, attempt);
  if (now < attempt.due) return true;
  if (is_hard()) {
    begin_try(attempt);
  } else if (attempt.peer.choice == PortChoice::kRandom) {
    rest(attempt);
  } else {
    return false;  // the peer tries again, if it likes
  }
  return true;
}

void Punch::probe(const Address& peer, Attempt& attempt) {
  const TimePoint now = hub_.clock.now();
  Session* session = hub_.sessions.find(peer);
  if (attempt.credit <= 0 || !probes_.take({}, now) ||
      !hub_.pays(peer, attempt.step->to, ring::kCheckBytes)) {
    attempt.step_at = now + kCreditPause;
    return;
  }
  --attempt.credit;
  opened_.set(attempt.step->to.socket);
  hub_.metrics.add(Metric::kPunchProbes);
  hub_.sessions.probe(*session, attempt.step->to);
  attempt.step = attempt.plan->next();
  if (attempt.step) attempt.step_at = now + attempt.step->after;
}

std::bitset<256> Punch::sockets_in_use() const {
  std::bitset<256> out;
  hub_.sessions.for_each([&](const Session& session) {
    for (const PathState& state : session.paths()) out.set(state.path.endpoint.socket);
  });
  return out;
}

std::uint8_t Punch::fresh_socket() {
  const auto used = sockets_in_use();
  for (int i = 0; i < kFreshSockets; ++i) {
    last_fresh_ = (last_fresh_ + 1) % kFreshSockets;
    if (!used[static_cast<std::size_t>(kFreshSocketsFirst + last_fresh_)]) break;
  }
  const auto socket = static_cast<std::uint8_t>(kFreshSocketsFirst + last_fresh_);
  hub_.transport.release(socket);
  opened_.set(socket);
  return socket;
}

void Punch::sweep() {
  opened_.reset(0);
  const bool busy = std::ranges::any_of(
      attempts_, [](const auto& entry) { return entry.second.state != Attempt::State::kResting; });
  if (busy || opened_.none()) return;
  const auto used = sockets_in_use();
  for (std::size_t socket = 1; socket < opened_.size(); ++socket) {
    if (!opened_[socket] || used[socket]) continue;
    hub_.transport.release(static_cast<std::uint8_t>(socket));
    opened_.reset(socket);
  }
}

}  // namespace wow
