#include "dht/record.h"

#include <openssl/sha.h>

#include <algorithm>

namespace wow::dht {
namespace {

constexpr std::string_view kSignedPrefix = "wow value 1";
constexpr std::string_view kLeases = "ip/", kNames = "name/", kNodes = "node/";
constexpr std::size_t kHeldMax = 8192;
constexpr Duration kHeldFor = 1h;  // certificates may expire
constexpr std::size_t kNameBytesMax = 63;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace

std::optional<Value> Value::parse(const pb::Record& record) {
  pb::Value wire;
  if (!wire.ParseFromString(record.value())) return std::nullopt;
  const auto owner = Address::parse(view_of(wire.owner()));
  const auto ttl_ms = wire.ttl_ms();
  if (!owner || wire.key().empty() || wire.key().size() > kDhtKeyBytesMax) return std::nullopt;
  if (wire.data().size() > kDhtValueBytesMax || record.chain().size() > kChainBytesMax) {
    return std::nullopt;
  }
  if (ttl_ms < to_ms(kTtlMin) || ttl_ms > to_ms(kTtlMax)) return std::nullopt;
  return Value{wire.key(),
               to_bytes(wire.data()),
               *owner,
               wire.version(),
               std::chrono::milliseconds(ttl_ms),
               wire.removed()};
}

pb::Record sign_record(const Credentials& credentials, const Value& value) {
  pb::Value wire;
  wire.set_key(value.key);
  wire.set_data(to_string(value.data));
  wire.set_owner(to_string(value.owner.bytes()));
  wire.set_version(value.version);
  wire.set_ttl_ms(to_ms(value.ttl));
  wire.set_removed(value.removed);
  pb::Record record;
  record.set_value(wire.SerializeAsString());
  record.set_chain(to_string(credentials.chain()));
  record.set_signature(
      to_string(credentials.sign(concat({view_of(kSignedPrefix), view_of(record.value())}))));
  return record;
}

void RecordChecker::refresh() {
  const TimePoint now = context_.clock.now();
  const std::uint64_t number = context_.credentials.settings_number();
  if (number == settings_number_ && now - held_since_ < kHeldFor && held_.size() < kHeldMax) return;
  // Newer settings may have sent a writer away.
  held_.clear();
  held_since_ = now;
  settings_number_ = number;
  const ByteView bytes = context_.credentials.signed_settings();
  pb::SignedSettings signed_settings;
  settings_.Clear();
  if (signed_settings.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    settings_.ParseFromString(signed_settings.settings());
  }
}

bool RecordChecker::authentic(const pb::Record& record, const Value& value) {
  refresh();
  const Bytes all =
      concat({view_of(record.value()), view_of(record.chain()), view_of(record.signature())});
  std::string digest(SHA256_DIGEST_LENGTH, 0);
  SHA256(all.data(), all.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  if (held_.contains(digest)) return true;
  if (!verify(record, value)) {
    context_.metrics.add(Metric::kDropBadSignature);
    return false;
  }
  held_.insert(std::move(digest));
  return true;
}

std::string RecordChecker::invite_of(const pb::Record& record) {
  const ByteView chain = view_of(record.chain());
  if (chain.empty()) return {};
  std::string digest(SHA256_DIGEST_LENGTH, 0);
  SHA256(chain.data(), chain.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  if (const auto known = invites_.find(digest); known != invites_.end()) return known->second;
  const auto identity = context_.credentials.verify_chain(chain);
  if (invites_.size() >= kHeldMax) invites_.clear();
  return invites_[digest] = identity ? to_string(identity->invite_id) : std::string();
}

bool RecordChecker::may_bridge(const pb::Record& record) const {
  const auto identity = context_.credentials.verify_chain(view_of(record.chain()));
  return identity && identity->may_bridge;
}

bool RecordChecker::verify(const pb::Record& record, const Value& value) const {
  const ByteView chain = view_of(record.chain());
  const auto identity = context_.credentials.verify_chain(chain);
  if (!identity || identity->address != value.owner) return false;
  const auto key = context_.credentials.chain_public_key(chain);
  if (!key) return false;
  const Bytes message = concat({view_of(kSignedPrefix), view_of(record.value())});
  return context_.credentials.signer(*key, message, view_of(record.signature())) == value.owner;
}

std::string RecordChecker::lease_objection(std::string_view text, const pb::Record& record) const {
  const auto ip = IpAddress::parse(text);
  const auto& subnet = context_.options.lease_subnet;
  const auto& subnet6 = context_.options.lease_subnet6;
  if (!ip || ip->text() != text) return "not an IP address in its usual form";
  if (subnet6 && subnet6->contains(*ip)) return {};
  if (!subnet) return "this pool leases no addresses";
  if (!subnet->contains(*ip)) {
    return may_route(*ip, record) ? "" : "outside the pool's subnet " + subnet->text();
  }
  const std::uint64_t size = subnet->size();
  // The service address is the last host address.
  for (const std::uint64_t offset : {std::uint64_t{0}, size - 2, size - 1}) {
    if (*ip == subnet->at(offset)) return "the address has a meaning of its own in the subnet";
  }
  return {};
}

bool RecordChecker::may_route(const IpAddress& ip, const pb::Record& record) const {
  const auto identity = context_.credentials.verify_chain(view_of(record.chain()));
  return identity && identity->may_bridge &&
         std::any_of(identity->routes.begin(), identity->routes.end(),
                     [&](const Prefix& route) { return route.contains(ip); });
}

std::string RecordChecker::objection(const Value& value, const pb::Record& record) {
  refresh();
  const std::string_view key = value.key;
  if (key.starts_with(kNodes) && key.substr(kNodes.size()) != value.owner.hex()) {
    return "the key belongs to another node";
  }
  if (key.starts_with(kNames) && !is_name(key.substr(kNames.size()))) {
    return "a name is 1 to 63 of a-z, 0-9 and -";
  }
  if (key.starts_with(kLeases)) {
    auto why = lease_objection(key.substr(kLeases.size()), record);
    if (!why.empty()) return why;
  }
  return reserved_for_another(value);
}

std::string RecordChecker::reserved_for_another(const Value& value) const {
  for (const auto& reserved : settings_.reservations()) {
    const bool is_it = (!reserved.ip().empty() && value.key == "ip/" + reserved.ip()) ||
                       (!reserved.name().empty() && value.key == "name/" + reserved.name());
    const auto node = Address::parse(view_of(reserved.node()));
    if (is_it && node != value.owner) {
      return "the pool's settings reserve it for " + (node ? node->hex() : std::string("nobody"));
    }
  }
  return {};
}

}  // namespace wow::dht
