#include "overlay/port_survey.h"

#include <algorithm>
#include <vector>

#include "nat/nat_question.h"
#include "overlay/limits.h"
#include "overlay/node.h"

namespace wow {

PortSurvey::PortSurvey(Hub& hub, Handlers handlers)
    : hub_(hub),
      handlers_(std::move(handlers)),
      seal_(hub.credentials.pool_key(), hub.random),
      timer_(hub.clock) {}

void PortSurvey::begin() {
  if (tries_ == 0) ask();
}

void PortSurvey::ask() {
  const auto to = witness();
  if (!to || ++tries_ > ring::kSurveyTries) return end({});
  for (Question& question : questions_) {
    question = {hub_.random.u64(), *to, {}};
    question.to.socket = handlers_.fresh_socket();
    NatQuestion asked;
    asked.token = question.token;
    const Bytes packet = seal_.seal(PacketType::kQuestion, asked.write());
    const Datagram datagram{question.to, packet, {}};
    hub_.transport.send({&datagram, 1});
  }
  timer_.after(ring::kSurveyLimit, [this] { ask(); });
}

// The quickest member outside our NAT, for what it says must be of the present; if it does not
// answer, any.
std::optional<Endpoint> PortSurvey::witness() {
  std::vector<std::pair<Duration, Endpoint>> fit;
  const auto own = hub_.own_member().endpoints;
  for (const auto& [peer, edge] : hub_.edges.all()) {
    const Session* session = hub_.sessions.find(peer);
    if (session == nullptr || !session->is_direct()) continue;
    const Endpoint& e = session->path().path.endpoint;
    if (e.is_stream() || e.socket != 0 || !e.ip.is_v4() || e.ip.is_private() ||
        std::ranges::find(own, e.ip, &Endpoint::ip) != own.end())
      continue;
    fit.emplace_back(session->path().round_trip, e);
  }
  if (fit.empty()) return std::nullopt;
  if (tries_ > 0) return fit[hub_.random.below(fit.size())].second;
  return std::ranges::min_element(fit)->second;
}

void PortSurvey::on_packet(MutableBytes packet, const Endpoint& from) {
  const auto text = seal_.open(PacketType::kQuestion, packet);
  if (!text) return hub_.metrics.add(Metric::kDropStranger);
  const auto answer = NatAnswer::parse(*text);
  if (!answer) return hub_.metrics.add(Metric::kDropMalformed);
  if (tries_ == 0) return;
  for (Question& question : questions_) {
    if (question.to == from && question.token == answer->token) question.seen = answer->seen;
  }
  std::vector<Endpoint> seen;
  for (const Question& question : questions_) {
    if (!question.seen.is_set()) return;
    seen.push_back(question.seen);
  }
  end(port_report(seen));
}

void PortSurvey::end(const PortReport& report) {
  timer_.cancel();
  tries_ = 0;
  for (Question& question : questions_) {
    if (question.to.socket != 0) hub_.transport.release(question.to.socket);
    question = {};
  }
  handlers_.done(report);
}

}  // namespace wow
