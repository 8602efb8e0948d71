#include "tools/doctor/question_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace wow {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kUdpBytes = 8, kIpv4Bytes = 20, kIpv6Bytes = 40;

struct Name {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

Name name_of(const Endpoint& e) {
  Name out;
  if (e.ip.is_v4()) {
    auto& in4 = reinterpret_cast<sockaddr_in&>(out.storage);
    in4.sin_family = AF_INET;
    in4.sin_port = htons(e.port);
    std::memcpy(&in4.sin_addr, e.ip.bytes().data(), 4);
    out.length = sizeof in4;
  } else {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(out.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(e.port);
    std::memcpy(&in6.sin6_addr, e.ip.bytes().data(), 16);
    out.length = sizeof in6;
  }
  return out;
}

Endpoint endpoint_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    return {IpAddress::v6({reinterpret_cast<const std::uint8_t*>(&in6.sin6_addr), 16}),
            ntohs(in6.sin6_port)};
  }
  const auto& in4 = reinterpret_cast<const sockaddr_in&>(storage);
  return {IpAddress::v4(ntohl(in4.sin_addr.s_addr)), ntohs(in4.sin_port)};
}

}  // namespace

QuestionSocket::QuestionSocket(ByteView pool_key, const IpAddress& like)
    : seal_(pool_key, random_), v4_(like.is_v4()) {
  fd_ = socket(v4_ ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  const Name any = name_of({v4_ ? IpAddress::v4(0) : IpAddress(), 0});
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&any.storage), any.length) != 0) {
    close(fd_);
    fd_ = -1;
    return;
  }
  // Don't fragment, and don't believe what routers say of it: asking finds out.
  const int probe = v4_ ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
  setsockopt(fd_, v4_ ? IPPROTO_IP : IPPROTO_IPV6, v4_ ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
             &probe, sizeof probe);
}

QuestionSocket::~QuestionSocket() {
  if (fd_ >= 0) close(fd_);
}

std::uint16_t QuestionSocket::port() const {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size);
  return endpoint_of(own).port;
}

IpAddress QuestionSocket::own_address(const IpAddress& to) {
  const int fd = socket(to.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const Name name = name_of({to, 9});
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  const bool routed =
      fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&name.storage), name.length) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  if (fd >= 0) close(fd);
  return routed ? endpoint_of(own).ip : IpAddress();
}

bool QuestionSocket::send(const Endpoint& to, ByteView text) {
  const Bytes packet = seal_.seal(PacketType::kQuestion, text);
  const Name name = name_of(to);
  return sendto(fd_, packet.data(), packet.size(), MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&name.storage), name.length) >= 0;
}

std::optional<std::pair<Bytes, Endpoint>> QuestionSocket::receive(Steady::time_point end) {
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(end - Steady::now()).count();
    pollfd readable{fd_, POLLIN, 0};
    if (left <= 0 || poll(&readable, 1, static_cast<int>(left)) <= 0) return std::nullopt;
    std::array<std::uint8_t, 2048> buffer;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got = recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0) continue;  // an ICMP error, mostly: others may answer yet
    const auto text = seal_.open(PacketType::kQuestion,
                                 MutableBytes(buffer.data(), static_cast<std::size_t>(got)));
    if (text) return std::pair(to_bytes(*text), endpoint_of(from));
  }
}

std::optional<QuestionSocket::Answer> QuestionSocket::ask(const Question& question,
                                                          Milliseconds patience) {
  if (!is_open()) return std::nullopt;
  NatQuestion asked;
  asked.from = question.from;
  asked.cookie = question.cookie;
  random_.fill({reinterpret_cast<std::uint8_t*>(&asked.token), sizeof asked.token});
  const std::size_t around = (v4_ ? kIpv4Bytes : kIpv6Bytes) + kUdpBytes + PoolSeal::kAroundBytes;
  const Bytes text = asked.write(question.ip_bytes > around ? question.ip_bytes - around : 0);
  const auto begun = Steady::now(), end = begun + patience;
  for (auto wait = kRepeat; Steady::now() < end; wait = std::min(wait * 2, kRepeatMax)) {
    send(question.server, text);
    const auto until = std::min(end, Steady::now() + wait);
    while (const auto got = receive(until)) {
      const auto answer = NatAnswer::parse(got->first);
      if (!answer || answer->token != asked.token) continue;
      Answer out;
      static_cast<NatAnswer&>(out) = *answer;
      out.from = got->second;
      out.after = std::chrono::duration_cast<Milliseconds>(Steady::now() - begun);
      return out;
    }
  }
  return std::nullopt;
}

void QuestionSocket::say(const Endpoint& to, std::uint64_t token) {
  NatQuestion question;
  question.token = token;
  send(to, question.write());
}

bool QuestionSocket::hears(std::uint64_t token, Milliseconds patience) {
  const auto end = Steady::now() + patience;
  while (const auto got = receive(end)) {
    const auto question = NatQuestion::parse(got->first);
    if (question && question->token == token) return true;
  }
  return false;
}

}  // namespace wow
