#include "tools/sim/fake_credentials.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <atomic>

namespace wow {
namespace {

constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kInviteIdBytes = 16;
constexpr std::size_t kSignatureBytes = 64;
// What TLS 1.3 with Ed25519 certificates on both sides was measured to send.
constexpr std::size_t kFlightBytes[] = {175, 854, 664};

Bytes hash(std::initializer_list<ByteView> parts) {
  const Bytes all = concat(parts);
  Bytes out(kHashBytes);
  SHA256(all.data(), all.size(), out.data());
  return out;
}

Bytes number(std::uint64_t value) { return Writer().u64(value).take(); }
Bytes key_of(std::uint64_t seed) { return hash({view_of("fake key"), number(seed)}); }
Address address_of_key(ByteView key) { return Address::from_bytes(hash({key})); }

// | pool hash 32 | public key 32 | invite id 16 |, behind its length.
constexpr std::size_t kChainBytes = 2 + 2 * kHashBytes + kInviteIdBytes;
Bytes make_chain(std::string_view pool, ByteView key) {
  Writer out;
  out.u16(kChainBytes - 2).bytes(hash({view_of("pool"), view_of(pool)})).bytes(key);
  return out.bytes(Bytes(kInviteIdBytes, 1)).take();
}

Bytes signature_of(ByteView key, ByteView message) {
  const Bytes low = hash({view_of("sign"), key, message});
  return concat({low, hash({view_of("sign"), low})});
}

std::atomic<int> alive{0};

}  // namespace

// Flight 1: nonce. Flight 2: nonce, chain, signature over all before. Flight 3: chain, the same.
class FakeCredentials::Exchange final : public KeyExchange {
 public:
  Exchange(const FakeCredentials& own, bool initiator, const Address& expected)
      : own_(own), initiator_(initiator), expected_(expected) {
    ++alive;
    own_.most_exchanges_ = std::max(own_.most_exchanges_, ++own_.exchanges_);
  }
  ~Exchange() override {
    --alive;
    --own_.exchanges_;
  }

  Step start() override { return {State::kContinue, flight(0, own_.fresh_nonce()), {}}; }

  Step on_flight(ByteView flight_bytes) override {
    if (failed_) return fail("the exchange has failed before");
    // Initiator: sees flight 2 (1); responder: 1 (0), then 3 (2).
    const int seen = initiator_ ? 1 : seen_first_ ? 2 : 0;
    if (flight_bytes.size() != kFlightBytes[seen] + own_.options_.flight_padding)
      return fail("flight of a wrong size");
    if (seen == 0) {
      seen_first_ = true;
      transcript_ = to_bytes(flight_bytes);
      return {State::kContinue, flight(1, concat({own_.fresh_nonce(), own_.chain_})), {}};
    }
    const std::size_t chain_at = seen == 1 ? kHashBytes : 0;
    if (!accept(flight_bytes, chain_at)) return fail(why_);
    if (!initiator_) return {State::kDone, {}, {}};
    return {State::kDone, flight(2, own_.chain_), {}};
  }

  const PeerIdentity& peer() const override { return peer_; }

  Bytes export_keys(ByteView context, std::size_t bytes) const override {
    const Bytes secret = hash({view_of("secret"), ByteView(transcript_)});
    Bytes out;
    for (std::uint64_t i = 0; out.size() < bytes; ++i) {
      const Bytes block = hash({secret, context, number(i)});
      out.insert(out.end(), block.begin(), block.end());
    }
    out.resize(bytes);
    return out;
  }

 private:
  Step fail(std::string why) {
    failed_ = true;
    return {State::kFailed, {}, std::move(why)};
  }

  // Content, signature over the transcript and it (not in the first flight), padding.
  Bytes flight(int which, const Bytes& content) {
    Bytes out = content;
    if (which > 0) {
      const Bytes proof =
          signature_of(own_.public_key_, concat({transcript_, content, own_.pool_key_}));
      out.insert(out.end(), proof.begin(), proof.end());
    }
    out.resize(kFlightBytes[which] + own_.options_.flight_padding, 0x55);
    transcript_.insert(transcript_.end(), out.begin(), out.end());
    return out;
  }

  bool accept(ByteView bytes, std::size_t chain_at) {
    const ByteView chain = bytes.subspan(chain_at, kChainBytes);
    const std::size_t content = chain_at + kChainBytes;
    const auto identity = own_.verify_chain(chain);
    if (!identity) {
      why_ = identity.error().message;
      return false;
    }
    const Bytes key = *own_.chain_public_key(chain);
    const Bytes proof =
        signature_of(key, concat({transcript_, bytes.first(content), own_.pool_key_}));
    if (!std::ranges::equal(proof, bytes.subspan(content, kSignatureBytes))) {
      why_ = "the signature does not hold";
      return false;
    }
    if (!expected_.is_zero() && identity->address != expected_) {
      why_ = "the certificate is another node's";
      return false;
    }
    peer_ = *identity;
    transcript_.insert(transcript_.end(), bytes.begin(), bytes.end());
    return true;
  }

  const FakeCredentials& own_;
  const bool initiator_;
  const Address expected_;
  bool seen_first_ = false;
  bool failed_ = false;
  Bytes transcript_;
  PeerIdentity peer_;
  std::string why_;
};

FakeCredentials::FakeCredentials(std::uint64_t seed, FakeIdentityOptions options)
    : options_(std::move(options)), public_key_(key_of(seed)) {
  pool_key_ = hash({view_of("pool key"), view_of(options_.pool)});
  address_ = address_of_key(public_key_);
  const auto shown = options_.certificate_of == 0 ? public_key_ : key_of(options_.certificate_of);
  chain_ = make_chain(options_.pool, shown);
  settings_ = make_settings(settings_number_);
}

Bytes FakeCredentials::sign(ByteView message) const { return signature_of(public_key_, message); }

std::optional<Address> FakeCredentials::signer(ByteView public_key, ByteView message,
                                               ByteView signature) const {
  if (!std::ranges::equal(signature_of(public_key, message), signature)) return std::nullopt;
  return address_of_key(public_key);
}

Result<PeerIdentity> FakeCredentials::verify_chain(ByteView chain) const {
  const auto key = chain_public_key(chain);
  if (!key ||
      !std::ranges::equal(chain.first(2 + kHashBytes), ByteView(chain_).first(2 + kHashBytes)))
    return Error{ErrorCode::kUntrusted, "the certificate is not of this pool"};
  PeerIdentity out;
  out.address = address_of_key(*key);
  out.invite_id = to_bytes(chain.subspan(2 + 2 * kHashBytes));
  if (!welcome(out)) return Error{ErrorCode::kUntrusted, "the certificate has been revoked"};
  return out;
}

std::optional<Bytes> FakeCredentials::chain_public_key(ByteView chain) const {
  if (chain.size() != kChainBytes) return std::nullopt;
  return to_bytes(chain.subspan(2 + kHashBytes, kHashBytes));
}

std::unique_ptr<KeyExchange> FakeCredentials::initiate(const Address& expected) const {
  return std::make_unique<Exchange>(*this, true, expected);
}

std::unique_ptr<KeyExchange> FakeCredentials::answer() const {
  return std::make_unique<Exchange>(*this, false, Address());
}

bool FakeCredentials::adopt_settings(ByteView signed_settings) {
  Reader in(signed_settings);
  const std::uint64_t settings_number = in.u64();
  std::set<Address> revoked;
  while (in.remaining() >= Address::kBytes)
    revoked.insert(Address::from_bytes(in.take(Address::kBytes)));
  if (!in.ok() || in.remaining() != 0 || settings_number <= settings_number_) return false;
  settings_number_ = settings_number;
  settings_ = to_bytes(signed_settings);
  revoked_ = std::move(revoked);
  return true;
}

Bytes FakeCredentials::make_settings(std::uint64_t number, const std::set<Address>& revoked) {
  Writer out;
  out.u64(number);
  for (const Address& address : revoked) out.bytes(address.bytes());
  return out.take();
}

Address FakeCredentials::address_of(std::uint64_t seed) { return address_of_key(key_of(seed)); }

int FakeCredentials::exchanges_alive() { return alive; }

Bytes FakeCredentials::fresh_nonce() const {
  return hash({view_of("nonce"), public_key_, number(options_.incarnation), number(nonces_++)});
}

}  // namespace wow
