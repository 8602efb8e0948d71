#include "overlay/hop_acks.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "overlay/node.h"

namespace wow {
namespace {

constexpr std::size_t kNumberBytes = 2;

}  // namespace

void HopAcks::stop() {
  wait_.cancel();
  tell_.cancel();
  waiting_.clear();
  owed_.clear();
  silent_.clear();
  doubted_.clear();
}

// Of an edge so young that nobody has measured it a long one is assumed: were packets sent again
// before their acknowledgement can be there, each hop of a way would double them.
Duration HopAcks::round_trip_to(const Address& next) const {
  const Session* session = hub_.sessions.find(next);
  const bool measured = session != nullptr && session->path().round_trip != Duration();
  return measured ? session->path().round_trip : ring::kAckUnmeasured;
}

std::optional<std::uint16_t> HopAcks::expect(const Address& next, const RoutedHeader& header,
                                             ByteView payload, const Address& came_from,
                                             const std::vector<Address>& tried) {
  if (waiting_.size() >= ring::kUnackedMax || tried.size() >= ring::kHopTriesMax) {
    return std::nullopt;
  }
  do {
    ++last_;
  } while (waiting_.contains(last_));
  const TimePoint due = hub_.clock.now() + ring::kAckPatience + round_trip_to(next) * 3 / 2;
  waiting_[last_] = {next, due, {header, to_bytes(payload), came_from, tried}};
  if (!wait_.is_set() || wait_.due() > due) arm();
  return last_;
}

void HopAcks::on_acks(const Address& from, ByteView numbers) {
  if (numbers.size() % kNumberBytes != 0) return hub_.metrics.add(Metric::kDropMalformed);
  for (std::size_t at = 0; at < numbers.size(); at += kNumberBytes) {
    const auto number = static_cast<std::uint16_t>(get_big_endian(numbers.data() + at, 2));
    const auto it = waiting_.find(number);
    if (it == waiting_.end() || it->second.next != from) continue;
    waiting_.erase(it);
    again_ = std::min(again_ + ring::kAgainPerAck, ring::kAgainMax);
  }
  silent_.erase(from);
  doubted_.erase(from);
  if (waiting_.empty()) wait_.cancel();
}

void HopAcks::doubt(const Address& peer) {
  const TimePoint now = hub_.clock.now();
  for (auto* list : {&silent_, &doubted_})
    std::erase_if(*list, [&](const auto& one) { return one.second <= now; });
  silent_[peer] = now + ring::kSilentFor;
  doubted_[peer] = now + ring::kDoubtedFor;
}

bool HopAcks::is_doubted(const Address& peer) const {
  const auto doubted = doubted_.find(peer);
  return doubted != doubted_.end() && doubted->second > hub_.clock.now();
}

void HopAcks::lost(const Address& peer) {
  silent_.erase(peer);
  owed_.erase(peer);
  std::vector<Packet> packets;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const bool through_it = it->second.next == peer;
    if (through_it) packets.push_back(std::move(it->second.packet));
    it = through_it ? waiting_.erase(it) : std::next(it);
  }
  // After the event: the edge table is being changed.
  for (Packet& packet : packets) {
    hub_.later([this, packet = std::move(packet)]() mutable { resend_(std::move(packet)); });
  }
}

void HopAcks::acknowledge(const Address& peer, std::uint16_t number) {
  auto& numbers = owed_[peer];
  if (numbers.size() < ring::kAcksPerMessage) numbers.push_back(number);
  if (!tell_.is_set()) tell_.after(ring::kAckDelay, [this] { send_acks(); });
}

std::vector<Address> HopAcks::silent() const {
  std::vector<Address> out;
  for (const auto& [peer, until] : silent_) {
    if (until > hub_.clock.now()) out.push_back(peer);
  }
  return out;
}

void HopAcks::arm() {
  if (waiting_.empty()) return wait_.cancel();
  const auto first =
      std::min_element(waiting_.begin(), waiting_.end(),
                       [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
  const Duration left = first->second.due - hub_.clock.now();
  wait_.after(std::max<Duration>(left, Duration::zero()), [this] { check(); });
}

void HopAcks::check() {
  const TimePoint now = hub_.clock.now();
  std::erase_if(silent_, [&](const auto& s) { return s.second <= now; });
  std::vector<Packet> packets;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    Waiting& w = it->second;
    if (w.due > now) {
      ++it;
      continue;
    }
    // Else it is on its way, late, or lost.
    if (again_ >= 1) {
      again_ -= 1;
      w.packet.tried.push_back(w.next);
      silent_[w.next] = now + ring::kSilentFor;
      packets.push_back(std::move(w.packet));
    }
    it = waiting_.erase(it);
  }
  hub_.metrics.add(Metric::kRoutedAgain, packets.size());
  for (Packet& packet : packets) resend_(std::move(packet));
  arm();
}

void HopAcks::send_acks() {
  for (const auto& [peer, numbers] : std::exchange(owed_, {})) {
    Bytes message(numbers.size() * kNumberBytes);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      put_big_endian(message.data() + i * kNumberBytes, numbers[i], kNumberBytes);
    }
    hub_.send_message(peer, static_cast<std::uint8_t>(Service::kHopAcks), message, Answer::kNone);
  }
}

}  // namespace wow
