// What this machine itself allows, as far as it can be told without a pool.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.h"

namespace wow {

enum class Reach { kOpen, kRefused, kSilent, kNoRoute };
std::string_view to_string(Reach reach);

// Whether TCP connections come about, all tried at once.
std::vector<Reach> try_tcp(const std::vector<Endpoint>& to, std::chrono::milliseconds patience);

// A proxy that the environment names, as "https_proxy=http://proxy.example:3128"; without its
// password.
std::vector<std::string> proxies_of_environment();

// Empty if a virtual interface can be made; else why not.
std::string why_no_tun();

// Global IPv6 addresses of this machine.
std::vector<IpAddress> global_ipv6();

// The addresses of "ADDRESS:PORT" and "NAME:PORT"; names that do not resolve go to `failed` with
// why. Blocking, some seconds at most.
std::vector<Endpoint> resolve_all(const std::vector<std::string>& texts,
                                  std::vector<std::string>& failed);

}  // namespace wow
