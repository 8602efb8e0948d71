#include "tunnel/agreement.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace wow {

Bytes ExchangeTerms::exporter_context() const {
  Writer out;
  out.bytes(view_of("wow session 1")).bytes(initiator.bytes()).bytes(responder.bytes());
  out.u32(initiator_index).u32(responder_index).u32(replaced_index);
  return out.u8(initiator_flags).u8(responder_flags).take();
}

namespace {

// What the exporter yields for one direction: of the first generation, and for those after it.
struct DirectionMaterial {
  static constexpr std::size_t kBytes = kAeadKeyBytes + kAeadNonceBytes + sizeof(KeyPhases::Secret);

  explicit DirectionMaterial(const std::uint8_t* at) {
    std::copy_n(at, kAeadKeyBytes, keys.key.begin());
    std::copy_n(at + kAeadKeyBytes, kAeadNonceBytes, keys.iv.begin());
    std::copy_n(at + kAeadKeyBytes + kAeadNonceBytes, secret.size(), secret.begin());
  }
  ~DirectionMaterial() { OPENSSL_cleanse(secret.data(), secret.size()); }

  DirectionKeys keys;
  KeyPhases::Secret secret;
};

}  // namespace

std::shared_ptr<SessionKeys> make_session_keys(const KeyExchange& exchange,
                                               const ExchangeTerms& terms, bool initiated,
                                               int workers, std::uint64_t phase_packets) {
  constexpr std::size_t kBytes = DirectionMaterial::kBytes;
  Bytes material = exchange.export_keys(terms.exporter_context(), 2 * kBytes);
  const DirectionMaterial from_initiator(material.data()), from_responder(material.data() + kBytes);
  OPENSSL_cleanse(material.data(), material.size());
  const DirectionMaterial& sending = initiated ? from_initiator : from_responder;
  const DirectionMaterial& receiving = initiated ? from_responder : from_initiator;

  auto out = std::make_shared<SessionKeys>(sending.secret, receiving.secret, phase_packets);
  out->peer = initiated ? terms.responder : terms.initiator;
  out->receive_index = initiated ? terms.initiator_index : terms.responder_index;
  const std::uint32_t send_index = initiated ? terms.responder_index : terms.initiator_index;
  out->lanes.reserve(static_cast<std::size_t>(workers) + 1);
  for (int lane = 0; lane <= workers; ++lane) {
    out->lanes.emplace_back(terms.suite(), sending.keys, out->phases, send_index,
                            static_cast<std::uint8_t>(lane));
  }
  out->opener.emplace(terms.suite(), receiving.keys, out->phases, workers > 0);
  return out;
}

}  // namespace wow
