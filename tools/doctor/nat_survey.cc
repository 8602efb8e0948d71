#include "tools/doctor/nat_survey.h"

#include <algorithm>
#include <array>

#include "base/asio/udp_socket.h"
#include "tools/doctor/question_socket.h"

namespace wow {
namespace {

using From = NatQuestion::From;
using Answer = QuestionSocket::Answer;
using Milliseconds = std::chrono::milliseconds;

constexpr std::size_t kServersMax = 8;  // asked
// What is not there by then was filtered: an answer from elsewhere takes two ways more.
constexpr Milliseconds kFilteredAfter{900};
constexpr Milliseconds kHairpinWait{500};
// RFC 8200's least, what tunnels and PPPoE leave, Ethernet, jumbo frames.
constexpr std::array<std::size_t, 6> kPacketBytes = {1280, 1400, 1460, 1492, 1500, 9000};

class Survey {
 public:
  Survey(ByteView key, const std::vector<Endpoint>& servers) : key_(key) {
    for (const Endpoint& server : servers) {
      if (out_.asked.size() < kServersMax) out_.asked.push_back(server);
    }
  }

  NatFindings run() {
    for (const Endpoint& server : out_.asked) {
      if (!QuestionSocket::own_address(server.ip).is_unspecified()) out_.has_address = true;
    }
    if (!out_.has_address) return out_;
    QuestionSocket socket(key_, out_.asked.front().ip);
    find_servers(socket);
    if (!out_.udp()) return out_;
    find_mapping(socket);
    find_filtering();
    if (out_.mapping != Mapping::kNone) find_ports(socket);
    if (out_.mapping != Mapping::kNone) find_hairpin();
    find_mtu(socket);
    return out_;
  }

 private:
  std::optional<Answer> ask(QuestionSocket& socket, const Endpoint& server, From from = From::kHere,
                            const NatCookie& cookie = {},
                            Milliseconds patience = QuestionSocket::kPatience) {
    return socket.ask({server, from, cookie, 0}, patience);
  }

  // Two that answer, at two addresses; who answers may know the second.
  void find_servers(QuestionSocket& socket) {
    std::vector<Endpoint> left = out_.asked;
    for (std::size_t i = 0; i < left.size() && !second_; ++i) {
      const auto known = [&](const Endpoint& e) { return first_ && e.ip == first_server_.ip; };
      if (known(left[i])) continue;
      const auto answer = ask(socket, left[i]);
      if (!answer) continue;
      out_.answered.push_back(left[i]);
      if (first_) {
        second_ = *answer;
        second_server_ = left[i];
        return;
      }
      first_ = *answer;
      first_server_ = left[i];
      out_.outside = answer->seen;
      out_.round_trip = answer->after;
      using std::chrono::seconds;
      const auto now = std::chrono::time_point_cast<seconds>(std::chrono::system_clock::now());
      out_.clock_ahead = answer->wall - now;
      if (answer->other_member.is_set() && answer->other_member.ip.is_v4() == left[i].ip.is_v4()) {
        left.push_back(answer->other_member);
      }
    }
  }

  bool is_own(const Endpoint& seen, const QuestionSocket& socket) const {
    return seen.port == socket.port() && seen.ip == QuestionSocket::own_address(first_server_.ip);
  }

  void find_mapping(QuestionSocket& socket) {
    if (is_own(first_->seen, socket)) {
      out_.mapping = Mapping::kNone;
      return;
    }
    // The other port of whichever has one that answers.
    std::optional<Endpoint> elsewhere;
    const Answer* beside = nullptr;
    for (const auto& [server, answer] : {std::pair(&second_server_, second_ ? &*second_ : nullptr),
                                         std::pair(&first_server_, &*first_)}) {
      if (answer == nullptr || answer->other_port == 0 || elsewhere) continue;
      const auto other = ask(socket, {server->ip, answer->other_port});
      if (other) elsewhere = other->seen;
      beside = answer;
    }
    const bool by_port = elsewhere && *elsewhere != beside->seen;
    if (by_port) {
      out_.mapping = Mapping::kAddressPortDependent;
    } else if (!second_) {
      out_.mapping = elsewhere ? Mapping::kNotByPort : Mapping::kUnknown;
    } else if (first_->seen == second_->seen) {
      out_.mapping = Mapping::kEndpointIndependent;
    } else {
      out_.mapping = elsewhere ? Mapping::kAddressDependent : Mapping::kDependent;
    }
  }

  // From a socket that has spoken to one member only.
  void find_filtering() {
    QuestionSocket socket(key_, first_server_.ip);
    const auto first = ask(socket, first_server_);
    if (!first) return;
    const bool has_helper = first->other_member.is_set();
    if (has_helper &&
        ask(socket, first_server_, From::kOtherMember, first->cookie, kFilteredAfter)) {
      out_.filtering = Filtering::kEndpointIndependent;
      return;
    }
    if (first->other_port == 0) return;
    const bool by_address =
        ask(socket, first_server_, From::kOtherPort, first->cookie, kFilteredAfter).has_value();
    out_.filtering = !by_address  ? Filtering::kAddressPortDependent
                     : has_helper ? Filtering::kAddressDependent
                                  : Filtering::kNotByPort;
  }

  void find_ports(const QuestionSocket& socket) {
    if (out_.mapping == Mapping::kEndpointIndependent && first_->seen.port == socket.port()) {
      out_.ports = PortChoice::kKept;
      return;
    }
    std::vector<int> ports;
    for (int i = 0; i < 3; ++i) {
      QuestionSocket fresh(key_, first_server_.ip);
      if (const auto answer = ask(fresh, first_server_)) ports.push_back(answer->seen.port);
    }
    if (ports.size() < 3) return;
    const bool next = ports[1] - ports[0] == 1 && ports[2] - ports[1] == 1;
    out_.ports = next ? PortChoice::kNext : PortChoice::kRandom;
  }

  void find_hairpin() {
    QuestionSocket here(key_, first_server_.ip), there(key_, first_server_.ip);
    const auto seen = ask(here, first_server_);
    if (!seen || !ask(there, first_server_)) return;
    constexpr std::uint64_t kToken = 0x6861697270696e;  // "hairpin"
    there.say(seen->seen, kToken);
    out_.hairpin = here.hears(kToken, kHairpinWait);
  }

  void find_mtu(QuestionSocket& socket) {
    for (const std::size_t bytes : kPacketBytes) {
      if (!socket.ask({first_server_, From::kHere, {}, bytes}, Milliseconds(600))) return;
      out_.mtu = bytes;
    }
  }

  ByteView key_;
  NatFindings out_;
  Endpoint first_server_, second_server_;
  std::optional<Answer> first_, second_;
};

}  // namespace

std::string_view to_string(Mapping mapping) {
  switch (mapping) {
    case Mapping::kNone:
      return "none";
    case Mapping::kEndpointIndependent:
      return "endpoint-independent";
    case Mapping::kAddressDependent:
      return "address-dependent";
    case Mapping::kAddressPortDependent:
      return "address-and-port-dependent";
    case Mapping::kDependent:
      return "dependent on the address, and maybe the port";
    case Mapping::kNotByPort:
      return "not dependent on the port";
    case Mapping::kUnknown:
      break;
  }
  return "unknown";
}

std::string_view to_string(Filtering filtering) {
  switch (filtering) {
    case Filtering::kEndpointIndependent:
      return "endpoint-independent";
    case Filtering::kAddressDependent:
      return "address-dependent";
    case Filtering::kAddressPortDependent:
      return "address-and-port-dependent";
    case Filtering::kNotByPort:
      return "not dependent on the port";
    case Filtering::kUnknown:
      break;
  }
  return "unknown";
}

std::string_view to_string(PortChoice choice) {
  switch (choice) {
    case PortChoice::kKept:
      return "kept";
    case PortChoice::kNext:
      return "the next one";
    case PortChoice::kRandom:
      return "random";
    case PortChoice::kUnknown:
      break;
  }
  return "unknown";
}

NatFindings survey_nat(ByteView pool_key, const std::vector<Endpoint>& servers) {
  if (servers.empty()) return {};
  return Survey(pool_key, servers).run();
}

}  // namespace wow
