#include "tools/doctor/doctor.h"

#include <poll.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "nat/linux/port_mapper.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/question_socket.h"

namespace wow {

namespace json = boost::json;

namespace {

using State = Finding::State;

constexpr std::chrono::milliseconds kTcpPatience{1500};
constexpr int kMapperPatienceMs = 8000;
// A proxy has to reach the member, too.
constexpr std::chrono::milliseconds kProxyPatience{4000};
constexpr std::size_t kTcpEndsMax = 16, kProxyTriesMax = 6;
constexpr std::uint16_t kHttps = 443;

struct Mapped {
  Finding finding;
  bool is_mapped = false;
};

// Waits for what was asked at the start.
Mapped judge_mapping(const Patient& patient, PortMapper* mapper) {
  Finding out{"port mapping", State::kUnknown, "unknown", ""};
  if (patient.port) {
    const bool is_mapped = !patient.port_mapping.starts_with("none") &&
                           patient.port_mapping.find(':') != std::string::npos &&
                           patient.port_mapping.find("behind") == std::string::npos;
    out.state = is_mapped ? State::kGood : State::kUnknown;
    out.words = "the daemon that runs says: " + patient.port_mapping;
    return {out, is_mapped};
  }
  pollfd readable{mapper ? mapper->fd() : -1, POLLIN, 0};
  if (!mapper || poll(&readable, 1, kMapperPatienceMs) <= 0) return {out};
  const auto news = mapper->read();
  if (!news) return {out};
  if (news->way.empty()) {
    out.words = "the router maps no ports (" + news->why + ")";
    out.advice = "switch on PCP or UPnP in the router, if it is yours; paths may do without";
    return {out};
  }
  out.state = State::kGood;
  out.words = "by " + news->way + ", outside " + news->outside.text();
  if (!news->outside.ip.is_private()) return {out, true};
  out.state = State::kLimited;
  out.words += ", which lies behind another NAT";
  return {out};
}

Finding judge_hairpin(const NatFindings& nat) {
  if (!nat.hairpin) {
    return {"hairpin", nat.mapping == Mapping::kNone ? State::kGood : State::kUnknown,
            nat.mapping == Mapping::kNone ? "not needed without a NAT" : "unknown", ""};
  }
  if (*nat.hairpin)
    return {"hairpin", State::kGood, "two machines behind this NAT meet at its outside, too", ""};
  return {"hairpin", State::kGood,
          "no: machines behind this NAT meet at their own addresses, or not at all if it is a "
          "carrier's",
          ""};
}

Finding judge_ipv6(const NatFindings& v6) {
  const auto own = global_ipv6();
  if (own.empty()) return {"IPv6", State::kUnknown, "this machine has no global address", ""};
  if (v6.udp())
    return {"IPv6", State::kGood, "works: " + v6.answered.front().text() + " answered", ""};
  if (v6.asked.empty())
    return {"IPv6", State::kGood, own.front().text() + "; no bootstrap has an IPv6 address to ask",
            ""};
  return {"IPv6", State::kLimited, own.front().text() + ", but no bootstrap answers over IPv6", ""};
}

// Where members may listen for streams: at their UDP port's number and at 443.
std::vector<Endpoint> tcp_ends(const std::vector<Endpoint>& servers) {
  std::vector<Endpoint> out;
  for (const Endpoint& server : servers) {
    for (const std::uint16_t port : {server.port, kHttps}) {
      const Endpoint e{server.ip, port};
      if (out.size() < kTcpEndsMax && std::ranges::find(out, e) == out.end()) out.push_back(e);
    }
  }
  return out;
}

Finding judge_tcp(const std::vector<Endpoint>& servers, bool udp) {
  if (servers.empty()) return {"TCP", State::kUnknown, "there is nobody to try it with", ""};
  const std::vector<Endpoint> to = tcp_ends(servers);
  const auto reached = try_tcp(to, kTcpPatience);
  bool https = false, any = false;
  std::string words;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const bool passes = reached[i] == Reach::kOpen || reached[i] == Reach::kRefused;
    any = any || passes;
    https = https || (passes && to[i].port == kHttps);
    words += (words.empty() ? "" : "; ") + to[i].text() + " " + std::string(to_string(reached[i]));
  }
  if (any && https) return {"TCP", State::kGood, "goes out, to port 443 too: " + words, ""};
  if (any) return {"TCP", State::kLimited, "goes out, but not to port 443: " + words, ""};
  return {"TCP", udp ? State::kLimited : State::kBad, "does not go out: " + words,
          "only a proxy may lead out of here"};
}

// As streams ask for them: names by name, and an HTTP proxy for TLS alone.
std::vector<HostPort> proxy_targets(const Patient& patient) {
  std::vector<HostPort> out;
  const auto add = [&](const std::string& host, std::uint16_t port) {
    const bool is_http = patient.proxy->kind == Proxy::Kind::kHttp;
    for (const HostPort& to : {HostPort{host, is_http ? kHttps : port}, {host, kHttps}}) {
      if (out.size() < kProxyTriesMax && std::ranges::find(out, to) == out.end()) out.push_back(to);
    }
  };
  for (const std::string& bootstrap : patient.bootstraps) {
    if (const auto at = HostPort::parse(bootstrap)) add(at->host, at->port);
  }
  for (const Endpoint& member : patient.members) add(member.ip.text(), member.port);
  return out;
}

Finding judge_no_proxy(const Patient& patient) {
  if (patient.proxy_is_off) return {"proxy", State::kGood, "off: streams take none", ""};
  std::string named;
  for (const std::string& each : proxies_of_environment())
    named += (named.empty() ? "" : ", ") + each;
  if (named.empty()) return {"proxy", State::kGood, "none is named here", ""};
  if (!patient.proxy_trouble.empty()) named += " (" + patient.proxy_trouble + ")";
  return {"proxy", State::kLimited, "the environment names " + named + ", which streams cannot use",
          "set https_proxy, or `proxy` in the configuration: http://[USER:PASSWORD@]HOST:PORT or "
          "socks5://..."};
}

Finding judge_tun() {
  const std::string why = why_no_tun();
  if (why.empty()) return {"TUN", State::kGood, "virtual interfaces can be made", ""};
  return {"TUN", State::kBad, why,
          "`sudo wow up`, `modprobe tun`, or in a container --device /dev/net/tun and "
          "CAP_NET_ADMIN; `wow router` needs none"};
}

json::object nat_json(const NatFindings& nat) {
  json::object out{{"asked", nat.asked.size()},
                   {"udp", nat.udp()},
                   {"mapping", to_string(nat.mapping)},
                   {"filtering", to_string(nat.filtering)},
                   {"ports", to_string(nat.ports)}};
  if (nat.udp()) out["outside"] = nat.outside.text();
  if (nat.hairpin) out["hairpin"] = *nat.hairpin;
  if (nat.mtu) out["mtu"] = nat.mtu;
  if (nat.udp()) out["round_trip"] = static_cast<double>(nat.round_trip.count()) / 1000;
  if (nat.clock_ahead) out["clock_ahead"] = -nat.clock_ahead->count();
  return out;
}

json::value proxy_json(const Diagnosis& diagnosis) {
  if (!diagnosis.proxy) return nullptr;
  json::object out{{"proxy", diagnosis.proxy->text()}};
  if (const ProxyTry* best = best_of(diagnosis.proxy_tries)) {
    out["to"] = best->to.text();
    out["answer"] = to_string(best->answer);
    out["why"] = best->answer == ProxyAnswer::kPasses ? "" : best->why;
  }
  return out;
}

}  // namespace

std::string_view to_string(Finding::State state) {
  switch (state) {
    case State::kGood:
      return "good";
    case State::kLimited:
      return "limited";
    case State::kBad:
      return "bad";
    case State::kUnknown:
      break;
  }
  return "unknown";
}

Diagnosis examine(const Patient& patient) {
  // The router is asked while members are.
  std::unique_ptr<PortMapper> mapper;
  std::unique_ptr<QuestionSocket> holder;
  if (!patient.port) {
    if (auto started = PortMapper::start()) mapper = std::move(*started);
    holder = std::make_unique<QuestionSocket>(Bytes(32), IpAddress::v4(0));
    if (mapper && holder->is_open()) mapper->map(holder->port());
  }
  Diagnosis out;
  std::vector<std::string> unresolved;
  std::vector<Endpoint> servers = resolve_all(patient.bootstraps, unresolved);
  servers.insert(servers.end(), patient.members.begin(), patient.members.end());
  std::vector<Endpoint> v4, v6;
  for (const Endpoint& e : servers) {
    auto& family = e.ip.is_v4() ? v4 : v6;
    if (std::ranges::find(family, e) == family.end()) family.push_back(e);
  }
  if (patient.pool_key) {
    out.v4 = survey_nat(*patient.pool_key, v4);
    out.v6 = survey_nat(*patient.pool_key, v6);
  }
  const NatFindings& nat = out.v4.udp() || out.v6.asked.empty() ? out.v4 : out.v6;
  auto& f = out.findings;
  if (!patient.pool_key) {
    f.push_back({"pool", State::kUnknown, patient.why_no_pool,
                 "`wow doctor --invite FILE` asks the pool's members before joining"});
  }
  for (const std::string& why : unresolved)
    f.push_back({"name", State::kLimited, why, "ask who made the invite, or the name server here"});
  f.push_back(judge_udp(out.v4, out.v6));
  f.push_back(judge_nat(nat));
  f.push_back(judge_filtering(nat));
  f.push_back(judge_hairpin(nat));
  const Mapped mapped = judge_mapping(patient, mapper.get());
  f.push_back(mapped.finding);
  f.push_back(judge_ipv6(out.v6));
  f.push_back(judge_mtu(nat));
  f.push_back(judge_tcp(servers, nat.udp()));
  if (patient.proxy) {
    out.proxy = patient.proxy;
    out.proxy_tries = try_proxy(*patient.proxy, proxy_targets(patient), kProxyPatience);
    f.push_back(judge_proxy(*patient.proxy, out.proxy_tries));
  } else {
    f.push_back(judge_no_proxy(patient));
  }
  const auto now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  f.push_back(judge_clock(nat, now, patient.build_date));
  f.push_back(judge_tun());
  out.verdict = verdict_of(out.v4, out.v6, mapped.is_mapped);
  return out;
}

json::object diagnosis_json(const Diagnosis& diagnosis) {
  json::array findings;
  for (const Finding& finding : diagnosis.findings) {
    findings.push_back(json::object{{"subject", finding.subject},
                                    {"state", to_string(finding.state)},
                                    {"finding", finding.words},
                                    {"advice", finding.advice}});
  }
  return {{"verdict", diagnosis.verdict},
          {"findings", std::move(findings)},
          {"ipv4", nat_json(diagnosis.v4)},
          {"ipv6", nat_json(diagnosis.v6)},
          {"proxy", proxy_json(diagnosis)}};
}

}  // namespace wow
