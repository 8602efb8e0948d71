#include "tools/lab/nat_kind.h"

#include <array>
#include <utility>

namespace wow::lab {
namespace {

template <typename Value>
using Words = std::pair<std::string_view, Value>;

constexpr std::array<Words<NatMapping>, 4> kMappings = {
    {{"linux", NatMapping::kLinux},
     {"eim", NatMapping::kEndpointIndependent},
     {"adm", NatMapping::kAddressDependent},
     {"apdm", NatMapping::kAddressPortDependent}}};
constexpr std::array<Words<NatFiltering>, 3> kFilterings = {
    {{"eif", NatFiltering::kEndpointIndependent},
     {"adf", NatFiltering::kAddressDependent},
     {"apdf", NatFiltering::kAddressPortDependent}}};
constexpr std::array<Words<NatPorts>, 3> kPorts = {{{"keep", NatPorts::kKeep},
                                                    {"random", NatPorts::kRandom},
                                                    {"sequential", NatPorts::kSequential}}};

template <typename Value, std::size_t kSize>
std::optional<Value> value_of(const std::array<Words<Value>, kSize>& words, std::string_view word) {
  for (const auto& [name, value] : words)
    if (name == word) return value;
  return std::nullopt;
}

template <typename Value, std::size_t kSize>
std::string word_of(const std::array<Words<Value>, kSize>& words, Value wanted) {
  for (const auto& [name, value] : words)
    if (value == wanted) return std::string(name);
  return "";
}

bool has_port_for_each(NatMapping mapping) {
  return mapping == NatMapping::kAddressDependent || mapping == NatMapping::kAddressPortDependent;
}

NatPorts usual_ports(NatMapping mapping) {
  return has_port_for_each(mapping) ? NatPorts::kRandom : NatPorts::kKeep;
}

constexpr std::array<std::string_view, 3> kScopes = {"endpoint-independent", "address-dependent",
                                                     "address-and-port-dependent"};

}  // namespace

std::optional<NatKind> NatKind::parse(std::string_view name) {
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view before = name.substr(0, dash);
  const std::size_t colon = before.find(':');
  const auto mapping = value_of(kMappings, before.substr(0, colon));
  const auto filtering = value_of(kFilterings, name.substr(dash + 1));
  if (!mapping || !filtering) return std::nullopt;
  auto ports = std::optional(usual_ports(*mapping));
  if (colon != std::string_view::npos) ports = value_of(kPorts, before.substr(colon + 1));
  if (!ports) return std::nullopt;
  if (has_port_for_each(*mapping) && ports == NatPorts::kKeep) return std::nullopt;
  if (*mapping == NatMapping::kLinux && ports != NatPorts::kKeep) return std::nullopt;
  NatKind kind;
  kind.mapping = *mapping;
  kind.filtering = *filtering;
  kind.ports = *ports;
  return kind;
}

std::string NatKind::name() const {
  std::string out = word_of(kMappings, mapping);
  if (ports != usual_ports(mapping)) out += ":" + word_of(kPorts, ports);
  return out + "-" + word_of(kFilterings, filtering);
}

std::string NatKind::words() const {
  std::string out;
  switch (mapping) {
    case NatMapping::kLinux:
      out = "netfilter's own mapping";
      break;
    case NatMapping::kEndpointIndependent:
      out = std::string(kScopes[0]) + " mapping";
      break;
    case NatMapping::kAddressDependent:
      out = std::string(kScopes[1]) + " mapping";
      break;
    case NatMapping::kAddressPortDependent:
      out = std::string(kScopes[2]) + " mapping";
      break;
  }
  out += ports == NatPorts::kKeep     ? ", ports kept"
         : ports == NatPorts::kRandom ? ", ports at random"
                                      : ", ports in sequence";
  return out + "; " + std::string(kScopes[static_cast<std::size_t>(filtering)]) + " filtering";
}

const std::vector<std::string>& nat_kind_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const char* mapping : {"linux", "eim", "eim:random", "adm", "apdm"})
      for (const char* filtering : {"eif", "adf", "apdf"})
        out.push_back(std::string(mapping) + "-" + filtering);
    return out;
  }();
  return names;
}

}  // namespace wow::lab
