// What findings mean. No network, no clock.
#include <cstdlib>

#include "tools/doctor/doctor.h"

namespace wow {
namespace {

using State = Finding::State;

constexpr std::chrono::seconds kClockLimit{120};
constexpr std::size_t kMtuWanted = 1455;  // a full frame of the default MTU (docs/operating.md, 11)

std::string text(std::string_view view) { return std::string(view); }

bool is_dependent(Mapping mapping) {
  return mapping == Mapping::kAddressDependent || mapping == Mapping::kAddressPortDependent ||
         mapping == Mapping::kDependent;
}

// What to do about a proxy that is no way, by what it answered.
std::string advice_on(const Proxy& proxy, const ProxyTry& best) {
  const bool is_http = proxy.kind == Proxy::Kind::kHttp;
  const std::string without = "; `proxy = \"off\"` does without";
  if (!best.connected) return "is it up, and is this its address and port?" + without;
  switch (best.answer) {
    case ProxyAnswer::kPasses:
      return "";
    case ProxyAnswer::kNotReached:
      return is_http
                 ? "the proxy may be well: let a member listen at 443 (--listen-tls 443), which "
                   "is all that most proxies lead to"
                 : "the proxy may be well: is a member up there, and does it listen by TCP?";
    case ProxyAnswer::kRefuses:
      return std::string("ask whoever runs it to let ") + (is_http ? "CONNECT" : "connections") +
             " to members through, to port 443 at least" + without;
    case ProxyAnswer::kWantsPassword:
      return proxy.user.empty()
                 ? "name them: USER:PASSWORD@ before its host, in https_proxy or `proxy`"
                 : "it does not take those that it was given: correct them in https_proxy or "
                   "`proxy`";
    case ProxyAnswer::kNonsense:
      return is_http ? "is it another kind of proxy, socks5:// maybe, or none?" + without
                     : "is it another kind of proxy, http:// maybe, or none?" + without;
    case ProxyAnswer::kSilent:
      break;
  }
  return "it takes connections and says nothing: is it a proxy of this kind?" + without;
}

}  // namespace

Finding judge_udp(const NatFindings& v4, const NatFindings& v6) {
  if (v4.udp() || v6.udp()) {
    const NatFindings& best = v4.udp() ? v4 : v6;
    const std::size_t answered = v4.answered.size() + v6.answered.size();
    return {"UDP", State::kGood,
            "goes out and answers come in: " + best.answered.front().text() + " answered after " +
                std::to_string(best.round_trip.count()) + " ms" +
                (answered > 1 ? ", and another member" : ""),
            ""};
  }
  if (v4.asked.empty() && v6.asked.empty()) {
    return {"UDP", State::kUnknown, "there is nobody to ask: no bootstrap is known",
            "name one: `wow doctor --bootstrap ADDRESS:PORT`"};
  }
  if (!v4.has_address && !v6.has_address) {
    return {"UDP", State::kBad, "there is no route to any bootstrap",
            "connect this machine to a network"};
  }
  return {"UDP", State::kBad, "no bootstrap answers over UDP",
          "let UDP out and its answers in, in the firewall of this machine and of this site; or no "
          "bootstrap is up: ask from another network"};
}

Finding judge_nat(const NatFindings& nat) {
  Finding out{"NAT", State::kUnknown, "unknown: no answer over UDP", ""};
  if (!nat.udp()) return out;
  if (nat.mapping == Mapping::kNone) {
    return {"NAT", State::kGood,
            "none: members see this machine's own address, " + nat.outside.text(), ""};
  }
  out.words = text(to_string(nat.mapping)) + " mapping, seen as " + nat.outside.text() +
              ", outside port " + text(to_string(nat.ports));
  if (nat.mapping == Mapping::kUnknown) {
    out.words = "there is one, seen as " + nat.outside.text() +
                "; its kind is unknown: one member alone answered";
    out.advice = "a second bootstrap, at another address, would tell";
  } else if (is_dependent(nat.mapping)) {
    out.state = State::kLimited;
    out.words += " (\"symmetric\"): each peer sees another port";
    out.advice =
        "paths to peers behind strict NATs or firewalls go through a third member; a port "
        "mapping, a router that keeps ports, or one open UDP port (--listen) makes them direct";
  } else {
    out.state = State::kGood;
    out.words += ": peers that know it reach this machine";
  }
  return out;
}

Finding judge_filtering(const NatFindings& nat) {
  Finding out{"filtering", State::kUnknown, "unknown", ""};
  if (!nat.udp()) return out;
  out.words = text(to_string(nat.filtering));
  switch (nat.filtering) {
    case Filtering::kEndpointIndependent:
      out.state = State::kGood;
      out.words += ": whoever knows the outside port gets in";
      break;
    case Filtering::kAddressDependent:
      out.state = State::kGood;
      out.words += ": only addresses that were spoken to get in";
      break;
    case Filtering::kAddressPortDependent:
      out.state = is_dependent(nat.mapping) ? State::kLimited : State::kGood;
      out.words += ": only addresses and ports that were spoken to get in";
      break;
    case Filtering::kNotByPort:
      out.state = State::kGood;
      out.words += "; there was no second member to say more";
      break;
    case Filtering::kUnknown:
      out.words += ": the member that answered has no other port to answer from";
  }
  return out;
}

Finding judge_mtu(const NatFindings& nat) {
  if (!nat.udp()) return {"MTU", State::kUnknown, "unknown: no answer over UDP", ""};
  if (nat.mtu == 0) {
    return {"MTU", State::kBad, "packets of 1280 bytes do not come through",
            "look for a tunnel or a filter on the way that loses them in silence"};
  }
  const std::string words = "packets of " + std::to_string(nat.mtu) + " bytes come through whole";
  if (nat.mtu >= kMtuWanted) return {"MTU", State::kGood, words, ""};
  return {"MTU", State::kLimited,
          words + ", of " + std::to_string(kMtuWanted) + " that a full frame takes",
          "larger ones are fragmented; a pool made with a lower --mtu avoids it"};
}

Finding judge_proxy(const Proxy& proxy, const std::vector<ProxyTry>& tries) {
  const ProxyTry* best = best_of(tries);
  const std::string name = proxy.text();
  if (best == nullptr)
    return {"proxy", State::kUnknown, name + "; there is no member to try it with", ""};
  if (best->answer == ProxyAnswer::kPasses)
    return {"proxy", State::kGood, name + " leads to " + best->to.text(), ""};
  const State state = best->answer == ProxyAnswer::kNotReached ? State::kLimited : State::kBad;
  return {"proxy", state, name + " does not lead to " + best->to.text() + ": " + best->why,
          advice_on(proxy, *best)};
}

Finding judge_clock(const NatFindings& nat, WallTime now, WallTime build_date) {
  if (now < build_date) {
    return {"clock", State::kBad, "stands before the day this program was built",
            "set the date: certificates are judged by it"};
  }
  if (!nat.clock_ahead) return {"clock", State::kUnknown, "nobody to compare it with", ""};
  const auto off = -*nat.clock_ahead;
  const std::string by = std::to_string(std::abs(off.count())) + " s";
  if (std::chrono::abs(off) <= kClockLimit) {
    return {"clock", State::kGood, "agrees with the pool's to " + by, ""};
  }
  return {"clock", State::kLimited,
          by + (off.count() > 0 ? " ahead of" : " behind") + " the member that answered",
          "set the date, or run a time service: certificates are judged by it"};
}

std::string verdict_of(const NatFindings& v4, const NatFindings& v6, bool mapped) {
  const NatFindings& nat = v4.udp() ? v4 : v6;
  if (v4.asked.empty() && v6.asked.empty())
    return "Nobody was there to ask: only this machine was looked at.";
  if (!nat.udp())
    return "Over UDP nothing passes from here; where TCP does, streams carry the pool instead.";
  if (mapped || nat.filtering == Filtering::kEndpointIndependent)
    return "Every peer reaches this machine directly.";
  if (nat.mapping == Mapping::kUnknown || nat.filtering == Filtering::kUnknown)
    return "UDP works; how directly peers can be reached is known in part only.";
  if (!is_dependent(nat.mapping))
    return "Paths are direct to all peers but those behind symmetric NATs with strict filtering.";
  if (nat.filtering == Filtering::kAddressDependent)
    return "Paths are direct to peers whose NAT is not symmetric, and through a third to others.";
  return "Paths are direct to peers that filter by address or not at all, and through a third to "
         "others.";
}

}  // namespace wow
