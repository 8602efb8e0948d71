#include "tunnel/data_keys.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace wow {
namespace {

constexpr std::uint64_t kCounterMax = (1ull << 48) - 1;

// IV xor | salt 4 | lane 1 | 0 | counter 6 |.
AeadNonce make_nonce(const DirectionKeys& keys, const DataHeader& header) {
  // In two words: the cipher reads it at once, and would wait for single bytes to be written.
  const std::uint64_t high =
      std::uint64_t{header.salt} << 32 | std::uint64_t{header.lane} << 24 | header.counter >> 32;
  AeadNonce nonce;
  put_big_endian(nonce.data(), get_big_endian(keys.iv.data(), 8) ^ high, 8);
  put_big_endian(nonce.data() + 8,
                 get_big_endian(keys.iv.data() + 8, 4) ^ (header.counter & 0xffffffff), 4);
  return nonce;
}

}  // namespace

DirectionKeys::~DirectionKeys() {
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(iv.data(), iv.size());
}

bool ReplayWindow::would_accept(std::uint64_t counter) const {
  if (!any_ || counter > newest_) return true;
  if (newest_ - counter >= words_ * 64) return false;
  return (seen_[counter / 64 & mask_] >> counter % 64 & 1) == 0;
}

void ReplayWindow::accept(std::uint64_t counter) {
  if (!any_ || counter > newest_) {
    // RFC 6479, 4: one word more than the window, so that whole words are cleared as it moves.
    const std::uint64_t from = any_ ? newest_ / 64 : 0;
    const std::uint64_t words = std::min(counter / 64 - from, mask_ + 1);
    for (std::uint64_t i = 0; i < words; ++i) seen_[(counter / 64 - i) & mask_] = 0;
    newest_ = counter;
    any_ = true;
  }
  seen_[counter / 64 & mask_] |= 1ull << counter % 64;
}

Sealer::Sealer(CipherSuite suite, const DirectionKeys& keys, std::uint32_t receiver_index,
               std::uint8_t lane)
    : suite_(suite),
      lane_(lane),
      receiver_index_(receiver_index),
      keys_(keys),
      owner_(lane == 0 ? new_aead_owner() : 0) {}

bool Sealer::seal(PacketBuffer& buffer) {
  const ByteView plain = buffer.view();
  if (counter_ > kCounterMax) return false;
  std::uint8_t* const out = buffer.prepend(DataHeader::kBytes);
  buffer.append(kAeadTagBytes);
  return seal(plain, out);
}

bool Sealer::seal(ByteView plain, std::uint8_t* out) {
  if (counter_ > kCounterMax) return false;
  if (lane_ != 0 && !aead_) aead_ = std::make_unique<Aead>(suite_, keys_.key, Aead::Use::kSeal);
  Aead& aead = aead_ ? *aead_ : shared_aead(owner_, suite_, keys_.key, Aead::Use::kSeal);
  DataHeader header;
  header.lane = lane_;
  header.receiver_index = receiver_index_;
  header.salt = salt_;
  header.counter = counter_++;
  header.write(out);
  std::uint8_t* const text = out + DataHeader::kBytes;
  aead.seal(make_nonce(keys_, header), {out, DataHeader::kBytes}, plain, text, text + plain.size());
  return true;
}

Opener::Opener(CipherSuite suite, const DirectionKeys& keys, bool workers)
    : suite_(suite), keys_(keys) {
  if (workers) workers_ = std::make_unique<WorkerSide>();
}

std::optional<MutableBytes> Opener::open(MutableBytes packet, OpenFailure* why) {
  std::uint8_t* const text = packet.data() + DataHeader::kBytes;
  if (!open(packet, text, why)) return std::nullopt;
  return MutableBytes(text, packet.size() - kSealedBytes);
}

bool Opener::open(ByteView packet, std::uint8_t* out, OpenFailure* why) {
  const auto header = DataHeader::parse(packet);
  if (!header || header->lane >= kLanesMax || failed() >= kFailedOpeningsMax) {
    *why = OpenFailure::kMalformed;
    return false;
  }
  if (header->lane == 0) {
    const std::lock_guard lock(control_lock_);
    const auto aead = [this]() -> Aead& {
      return shared_aead(owner_, suite_, keys_.key, Aead::Use::kOpen);
    };
    return open_on(control_window_, aead, *header, packet, out, why);
  }
  if (!workers_) workers_ = std::make_unique<WorkerSide>();  // then there is but one thread
  const std::lock_guard lock(workers_->lock);
  const auto aead = [this]() -> Aead& {
    if (!workers_->aead) {
      workers_->aead = std::make_unique<Aead>(suite_, keys_.key, Aead::Use::kOpen);
    }
    return *workers_->aead;
  };
  return open_on(workers_->windows[header->lane], aead, *header, packet, out, why);
}

template <typename AeadOf>
bool Opener::open_on(std::optional<ReplayWindow>& window, AeadOf aead, const DataHeader& header,
                     ByteView packet, std::uint8_t* out, OpenFailure* why) {
  if (window && !window->would_accept(header.counter)) {
    *why = OpenFailure::kReplayed;
    return false;
  }
  const ByteView text = packet.subspan(DataHeader::kBytes, packet.size() - kSealedBytes);
  if (!aead().open(make_nonce(keys_, header), packet.first(DataHeader::kBytes), text, out,
                   text.data() + text.size())) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    *why = OpenFailure::kForged;
    return false;
  }
  if (!window) {
    window.emplace(header.lane == 0 ? kControlReplayWindowPackets : kReplayWindowPackets);
  }
  window->accept(header.counter);
  *why = OpenFailure::kNone;
  return true;
}

}  // namespace wow
