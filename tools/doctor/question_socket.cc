#include "tools/doctor/question_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/asio/socket_address.h"

namespace wow {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kUdpBytes = 8, kIpv4Bytes = 20, kIpv6Bytes = 40;

}  // namespace

QuestionSocket::QuestionSocket(ByteView pool_key, const IpAddress& like)
    : seal_(pool_key, random_), v4_(like.is_v4()) {
  fd_ = socket(v4_ ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  const SocketAddress any = to_sockaddr({v4_ ? IpAddress::v4(0) : IpAddress(), 0}, !v4_);
  if (bind(fd_, any.get(), any.length) != 0) {
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
  return to_endpoint(own).port;
}

IpAddress QuestionSocket::own_address(const IpAddress& to) {
  const int fd = socket(to.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const SocketAddress name = to_sockaddr({to, 9}, !to.is_v4());
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  const bool routed = fd >= 0 && connect(fd, name.get(), name.length) == 0 &&
                      getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  if (fd >= 0) close(fd);
  return routed ? to_endpoint(own).ip : IpAddress();
}

bool QuestionSocket::send(const Endpoint& to, ByteView text) {
  const Bytes packet = seal_.seal(PacketType::kQuestion, text);
  const SocketAddress name = to_sockaddr(to, !to.ip.is_v4());
  return sendto(fd_, packet.data(), packet.size(), MSG_NOSIGNAL, name.get(), name.length) >= 0;
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
    if (text) return std::pair(to_bytes(*text), to_endpoint(from));
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
