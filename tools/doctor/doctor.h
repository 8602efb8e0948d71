// Says in plain words what this machine's network allows, and what to do about it: the answers
// behind `wow doctor`. Blocking, for about ten seconds (a proxy that is silent: four more); needs
// no pool for half of it.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/asio/proxy.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/endpoint.h"
#include "tools/doctor/nat_survey.h"
#include "tools/doctor/proxy_check.h"

namespace wow {

struct Patient {
  std::optional<Bytes> pool_key;        // of a membership or an invite; without: no questions
  std::string why_no_pool;              // then: said to the user
  std::vector<std::string> bootstraps;  // ADDRESS:PORT or NAME:PORT
  std::vector<Endpoint> members;        // others to ask, from a daemon that runs
  std::optional<std::uint16_t> port;    // which a daemon has had mapped: nothing is asked for then
  std::string port_mapping;             // and what it says of it
  std::optional<Proxy> proxy;           // that streams would pass
  bool proxy_is_off = false;            // without: because somebody said so
  std::string proxy_trouble;            // or what is wrong with the one that is named
  WallTime build_date;
};

struct Finding {
  enum class State { kGood, kLimited, kBad, kUnknown };
  std::string subject;
  State state = State::kUnknown;
  std::string words;
  std::string advice;  // may be empty
};
std::string_view to_string(Finding::State state);

struct Diagnosis {
  std::vector<Finding> findings;
  NatFindings v4, v6;
  std::optional<Proxy> proxy;
  std::vector<ProxyTry> proxy_tries;
  std::string verdict;
};

Diagnosis examine(const Patient& patient);
// Keys are part of the command line's promise.
boost::json::object diagnosis_json(const Diagnosis& diagnosis);

// Judgement alone, without a network: what the findings about UDP mean, and what to do.
Finding judge_udp(const NatFindings& v4, const NatFindings& v6);
Finding judge_nat(const NatFindings& nat);
Finding judge_filtering(const NatFindings& nat);
Finding judge_mtu(const NatFindings& nat);
Finding judge_proxy(const Proxy& proxy, const std::vector<ProxyTry>& tries);
Finding judge_clock(const NatFindings& nat, WallTime now, WallTime build_date);
std::string verdict_of(const NatFindings& v4, const NatFindings& v6, bool mapped);

}  // namespace wow
