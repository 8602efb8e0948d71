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

std::shared_ptr<SessionKeys> make_session_keys(const KeyExchange& exchange,
                                               const ExchangeTerms& terms, bool initiated,
                                               int workers) {
  constexpr std::size_t kDirectionBytes = kAeadKeyBytes + kAeadNonceBytes;
  Bytes material = exchange.export_keys(terms.exporter_context(), 2 * kDirectionBytes);
  DirectionKeys from_initiator, from_responder;
  const std::uint8_t* at = material.data();
  for (DirectionKeys* keys : {&from_initiator, &from_responder}) {
    std::copy_n(at, kAeadKeyBytes, keys->key.begin());
    std::copy_n(at + kAeadKeyBytes, kAeadNonceBytes, keys->iv.begin());
    at += kDirectionBytes;
  }
  OPENSSL_cleanse(material.data(), material.size());

  auto out = std::make_shared<SessionKeys>();
  out->peer = initiated ? terms.responder : terms.initiator;
  out->receive_index = initiated ? terms.initiator_index : terms.responder_index;
  const std::uint32_t send_index = initiated ? terms.responder_index : terms.initiator_index;
  const DirectionKeys& sending = initiated ? from_initiator : from_responder;
  out->lanes.reserve(static_cast<std::size_t>(workers) + 1);
  for (int lane = 0; lane <= workers; ++lane) {
    out->lanes.emplace_back(terms.suite(), sending, send_index, static_cast<std::uint8_t>(lane));
  }
  out->opener = std::make_unique<Opener>(terms.suite(), initiated ? from_responder : from_initiator,
                                         workers > 0);
  return out;
}

}  // namespace wow
