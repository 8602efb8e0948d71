#include "tap/stand_in.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tap/arp.h"
#include "tap/ipv6_view.h"
#include "tap/mac_address.h"
#include "tap/packet_view.h"

namespace wow {
namespace {

constexpr MacAddress kBroadcastMac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// No interface has it: an answer to it goes to every port of every switch.
constexpr MacAddress kNobodysMac = {0x02, 0x77, 0x6f, 0x77, 0x00, 0x02};
constexpr EtherType kReverseArp{0x8035};
constexpr std::uint16_t kReverseRequest = 3;  // RFC 903

}  // namespace

std::optional<MacAddress> mac_in(const std::string& bytes) {
  MacAddress out{};
  if (bytes.size() != out.size() || bytes[0] & 1) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out == MacAddress{} ? std::nullopt : std::optional(out);
}

StandIn::StandIn(GuestLeases& leases, Clock& clock, MetricSlot& metrics, Hooks hooks)
    : leases_(leases), clock_(clock), metrics_(metrics), hooks_(std::move(hooks)), timer_(clock) {}

void StandIn::spoke(const MacAddress& source) {
  const TimePoint now = clock_.now();
  if (spoken_.size() >= kSpokenMax && !spoken_.contains(source)) {
    std::erase_if(spoken_, [&](auto& one) { return now - one.second >= kSpokenKept; });
    if (spoken_.size() >= kSpokenMax) return;
  }
  spoken_[source] = now;
}

// --- The one that blocks itself ---

// What our port has taught the LAN goes first: guests that speak are then heard by the other.
void StandIn::begin(const Address& other) {
  other_ = other;
  std::erase_if(spoken_, [&](auto& one) {
    return clock_.now() - one.second >= kSpokenKept || leases_.address_of(one.first);
  });
  pb::VnetMessage message;
  const auto send = [&] {
    if (message.guest_hand_over().spoken_size() > 0) hooks_.send(other, message);
    message.Clear();
  };
  for (const auto& [mac, at] : spoken_) {
    message.mutable_guest_hand_over()->add_spoken(mac.data(), mac.size());
    if (message.guest_hand_over().spoken_size() >= static_cast<int>(kSpokenPerMessage)) send();
  }
  send();
  hand_over();
}

// Again and again while we are blocked: one that is blocked itself may have handed us its own.
void StandIn::hand_over() {
  timer_.after(kBatchPause, [this] { hand_over(); });
  std::vector<MacAddress> batch;
  leases_.for_each([&](const IpAddress&, const MacAddress& mac) {
    const bool known = std::find(batch.begin(), batch.end(), mac) != batch.end();
    if (!known && batch.size() < kBatch) batch.push_back(mac);
  });
  if (batch.empty()) return;
  pb::VnetMessage message;
  for (const MacAddress& mac : batch) {
    spoken_.erase(mac);
    auto* guest = message.mutable_guest_hand_over()->add_guests();
    guest->set_mac(mac.data(), mac.size());
    for (const IpAddress& ip : leases_.release(mac)) {
      guest->add_ips(ip.text());
      hooks_.announce(mac, ip, *other_);
    }
    if (handed_.size() < GuestLeases::kGuestsMax) handed_[mac] = *other_;
  }
  hooks_.send(*other_, message);
  log_info("guests handed over",
           {{"to", other_->short_hex()}, {"count", std::to_string(batch.size())}});
}

void StandIn::end() {
  other_.reset();
  // The LAN learns back where these are: behind us.
  std::vector<MacAddress> macs;
  for (const auto& [mac, at] : spoken_) macs.push_back(mac);
  for (const MacAddress& mac : macs) teach(mac);
  ask_back();
}

void StandIn::ask_back() {
  for (std::size_t asked = 0; asked < kBatch && !handed_.empty(); ++asked) {
    const auto [mac, node] = *handed_.begin();
    handed_.erase(handed_.begin());
    hooks_.claim(node, mac);
  }
  if (handed_.empty()) return timer_.cancel();
  timer_.after(kBatchPause, [this] { ask_back(); });
}

// --- The one that stays ---

void StandIn::confirm(const Address& peer) {
  const TimePoint now = clock_.now();
  std::erase_if(confirmed_, [&](auto& one) { return now >= one.second; });
  if (confirmed_.size() < kConfirmedMax || confirmed_.contains(peer)) {
    confirmed_[peer] = now + kConfirmedFor;
  }
}

void StandIn::take(const Address& from, const pb::GuestHandOver& message) {
  const auto confirmed = confirmed_.find(from);
  if (confirmed == confirmed_.end() || clock_.now() >= confirmed->second) {
    return metrics_.add(Metric::kDropSourceCheck);
  }
  if (message.guests_size() > static_cast<int>(kBatch) ||
      message.spoken_size() > static_cast<int>(kSpokenPerMessage)) {
    return metrics_.add(Metric::kDropMalformed);
  }
  for (const std::string& bytes : message.spoken()) {
    const auto mac = mac_in(bytes);
    if (!mac) continue;
    if (!leases_.address_of(*mac)) hooks_.unlearn(*mac);
    teach(*mac);
  }
  for (const auto& guest : message.guests()) {
    const auto mac = mac_in(guest.mac());
    if (!mac || guest.ips_size() > static_cast<int>(GuestLeases::kAddressesPerMacMax)) continue;
    for (const std::string& text : guest.ips()) {
      const auto ip = IpAddress::parse(text);
      if (ip && leases_.stand_in(*mac, *ip)) find(*ip);
    }
  }
}

// --- Teaching the LAN ---

// A MAC from elsewhere is behind our port: said by a frame "from" it, as hypervisors announce a
// guest. A guest of our own LAN is asked to say something itself.
void StandIn::teach(const MacAddress& mac) {
  if (const auto ip = leases_.address_of(mac)) return find(*ip);
  if (!frames_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  const IpAddress none = IpAddress::v4(0);
  const ArpPacket said{kReverseRequest, mac, mac, none, none};
  hooks_.to_lan(write_ethernet(kBroadcastMac, mac, kReverseArp, said.write()));
}

// A probe (RFC 5227: without a sender's address it changes nobody's cache) for a MAC that nobody
// has: the guest's answer passes every switch, and each learns where the guest is; so do we.
void StandIn::find(const IpAddress& ip) {
  if (!frames_.pass(clock_.now())) return metrics_.add(Metric::kDropRateLimited);
  if (!ip.is_v4()) {
    return hooks_.to_lan(
        write_neighbour_solicitation({}, kServiceMac, kNobodysMac, link_local_of(kServiceMac), ip));
  }
  const ArpPacket probe{ArpPacket::kRequest, kNobodysMac, {}, IpAddress::v4(0), ip};
  hooks_.to_lan(write_ethernet(kBroadcastMac, kServiceMac, EtherType::kArp, probe.write()));
}

}  // namespace wow
