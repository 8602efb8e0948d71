#include "tap/loop_guard.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tap/mac_address.h"

namespace wow {
namespace {

constexpr std::string_view kMagic = "wow beacon 1";
constexpr std::size_t kKeyBytes = 32, kSignatureBytes = 64;

Bytes signed_part(std::uint64_t number) {
  Writer out;
  out.bytes(view_of(kMagic)).u64(number);
  return out.take();
}

}  // namespace

MacAddress Beacon::from(const Address& node) {
  MacAddress out = mac_of(node);
  out[0] |= 0x04;  // still locally administered
  return out;
}

std::optional<Beacon> Beacon::parse(ByteView payload) {
  Reader in(payload);
  if (text_of(in.take(kMagic.size())) != kMagic) return std::nullopt;
  Beacon out;
  out.number = in.u64();
  out.public_key = to_bytes(in.take(kKeyBytes));
  out.signature = to_bytes(in.take(kSignatureBytes));
  if (!in.ok()) return std::nullopt;
  return out;
}

Bytes Beacon::write(const Credentials& credentials, std::uint64_t number) {
  const Bytes message = signed_part(number);
  Writer out;
  out.bytes(message).bytes(credentials.public_key()).bytes(credentials.sign(message));
  return out.take();
}

std::optional<Address> Beacon::sender(const Credentials& credentials) const {
  return credentials.signer(public_key, signed_part(number), signature);
}

LoopGuard::LoopGuard(const Credentials& credentials, Clock& clock, Random& random,
                     MetricSlot& metrics, Hooks hooks)
    : credentials_(credentials),
      clock_(clock),
      random_(random),
      metrics_(metrics),
      hooks_(std::move(hooks)),
      timer_(clock),
      end_timer_(clock) {}

void LoopGuard::start() {
  blocked_until_ = std::max(blocked_until_, clock_.now() + kListenFor);
  send();
}

bool LoopGuard::blocked() const { return clock_.now() < blocked_until_; }

void LoopGuard::send() {
  timer_.after(kInterval, [this] { send(); });
  const TimePoint now = clock_.now();
  std::erase_if(sent_, [&](auto& one) { return now - one.second >= kFresh; });
  const std::uint64_t number = random_.u64();
  sent_[number] = now;
  hooks_.to_lan(write_ethernet(Beacon::kTo, Beacon::from(credentials_.address()), Beacon::kType,
                               Beacon::write(credentials_, number)));
}

void LoopGuard::take(const EthernetView& ethernet) {
  if (!heard_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  const auto beacon = Beacon::parse(ethernet.payload);
  const auto sender = beacon ? beacon->sender(credentials_) : std::nullopt;
  if (!sender) return metrics_.add(Metric::kDropBadSignature);
  // The higher of the two blocks; our own beacon comes back in a loop of the LAN's own.
  if (*sender >= credentials_.address()) return;
  if (asked_.size() >= kAskedMax) asked_.clear();
  asked_[beacon->number] = *sender;
  hooks_.ask(*sender, beacon->number);
}

bool LoopGuard::has_sent(std::uint64_t number) const {
  const auto found = sent_.find(number);
  return found != sent_.end() && clock_.now() - found->second < kFresh;
}

void LoopGuard::on_answer(const Address& from, std::uint64_t number) {
  const auto found = asked_.find(number);
  if (found == asked_.end() || found->second != from) return;
  asked_.erase(found);
  blocked_until_ = clock_.now() + kBlockedFor;
  end_timer_.after(kBlockedFor, [this] { end(); });
  if (std::exchange(told_, true)) return;
  log_warn("bridge blocked",
           {{"why", "another bridge of the pool is on this LAN"}, {"other", from.short_hex()}});
  hooks_.blocked(from);
}

void LoopGuard::end() {
  // Started anew meanwhile.
  if (blocked()) return end_timer_.after(blocked_until_ - clock_.now(), [this] { end(); });
  told_ = false;
  log_info("bridge passes frames again", {});
  hooks_.passes();
}

}  // namespace wow
