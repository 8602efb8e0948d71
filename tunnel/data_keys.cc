#include "tunnel/data_keys.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace wow {
namespace {

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

Sealer::Sealer(CipherSuite suite, const DirectionKeys& keys, KeyPhases& phases,
               std::uint32_t receiver_index, std::uint8_t lane)
    : suite_(suite),
      lane_(lane),
      receiver_index_(receiver_index),
      keys_(keys),
      phases_(&phases),
      owner_(lane == 0 ? new_aead_owner() : 0) {}

bool Sealer::next_generation() {
  if (in_generation_ >= phases_->wanted_after()) phases_->want_next(generation_);
  if (phases_->current() == generation_) return in_generation_ < 2 * phases_->wanted_after();
  keys_ = phases_->sending(&generation_);
  in_generation_ = 0;
  if (lane_ == 0) owner_ = new_aead_owner();
  if (aead_) aead_->rekey(suite_, keys_.key, Aead::Use::kSeal);
  return true;
}

bool Sealer::seal(PacketBuffer& buffer) {
  const ByteView plain = buffer.view();
  std::uint8_t* const out = buffer.prepend(DataHeader::kBytes);
  buffer.append(kAeadTagBytes);
  return seal(plain, out);
}

bool Sealer::seal(ByteView plain, std::uint8_t* out) {
  if (!take_counter()) return false;
  if (lane_ != 0 && !aead_) aead_ = std::make_unique<Aead>(suite_, keys_.key, Aead::Use::kSeal);
  Aead& aead = aead_ ? *aead_ : shared_aead(owner_, suite_, keys_.key, Aead::Use::kSeal);
  DataHeader header;
  header.key_phase = generation_ & kKeyPhaseMask;
  header.lane = lane_;
  header.receiver_index = receiver_index_;
  header.salt = salt_;
  header.counter = counter_ - 1;
  header.write(out);
  std::uint8_t* const text = out + DataHeader::kBytes;
  aead.seal(make_nonce(keys_, header), {out, DataHeader::kBytes}, plain, text, text + plain.size());
  return true;
}

Opener::Opener(CipherSuite suite, const DirectionKeys& keys, KeyPhases& phases, bool workers)
    : suite_(suite), generations_(phases) {
  control_.first.keys = keys;
  if (workers) make_worker_side();
}
Opener::~Opener() = default;

void Opener::make_worker_side() {
  workers_ = std::make_unique<WorkerSide>();
  workers_->phases.first.keys = control_.first.keys;
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
    const std::lock_guard lock(control_lock());
    if (!open_on(&control_window_, control_, *header, packet, out, why)) return false;
    control_window_.accept(header->counter);
    return true;
  }
  if (!workers_) make_worker_side();  // then there is but one thread
  const std::lock_guard lock(workers_->lock);
  auto& window = workers_->windows[header->lane];
  if (!open_on(window.get(), workers_->phases, *header, packet, out, why)) return false;
  if (!window) window = std::make_unique<WorkerWindow>();
  window->accept(header->counter);
  return true;
}

std::mutex& Opener::control_lock() {
  static std::mutex mutex;
  return mutex;
}

Opener::Phase* Opener::phase_of(Phases& ready, std::uint8_t bits) {
  const auto generation = generations_.generation_of(bits);
  if (!generation) return nullptr;
  if (*generation == 0) return &ready.first;
  if (!ready.later) ready.later = std::make_unique<std::array<Phase, kKeyPhaseMask + 1>>();
  Phase& phase = (*ready.later)[bits];
  if (phase.generation != *generation) {
    auto keys = generations_.receiving(*generation);
    if (!keys) return nullptr;  // another thread has stepped meanwhile
    if (*generation > KeyPhases::kOldKept) ready.first = Phase();
    phase.generation = *generation;
    phase.keys = *keys;
    phase.owner = new_aead_owner();
    if (phase.aead) phase.aead->rekey(suite_, phase.keys.key, Aead::Use::kOpen);
  }
  return &phase;
}

Aead& Opener::aead_of(Phase& phase, std::uint8_t lane) const {
  if (lane == 0) return shared_aead(phase.owner, suite_, phase.keys.key, Aead::Use::kOpen);
  if (!phase.aead) phase.aead = std::make_unique<Aead>(suite_, phase.keys.key, Aead::Use::kOpen);
  return *phase.aead;
}

template <typename Window>
bool Opener::open_on(const Window* window, Phases& ready, const DataHeader& header, ByteView packet,
                     std::uint8_t* out, OpenFailure* why) {
  if (window != nullptr && !window->would_accept(header.counter)) {
    *why = OpenFailure::kReplayed;
    return false;
  }
  Phase* const phase = phase_of(ready, header.key_phase);
  if (phase == nullptr) {
    *why = OpenFailure::kMalformed;
    return false;
  }
  const ByteView text = packet.subspan(DataHeader::kBytes, packet.size() - kSealedBytes);
  if (!aead_of(*phase, header.lane)
           .open(make_nonce(phase->keys, header), packet.first(DataHeader::kBytes), text, out,
                 text.data() + text.size())) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    *why = OpenFailure::kForged;
    return false;
  }
  generations_.heard(phase->generation);
  *why = OpenFailure::kNone;
  return true;
}

}  // namespace wow
