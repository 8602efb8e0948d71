#include "overlay/ctm.h"

#include <string>

#include "nat/check_list.h"
#include "overlay/limits.h"
#include "proto/overlay.pb.h"

namespace wow {
namespace {

using ring::kCtmBytesMax;

constexpr std::string_view kContext = "wow ctm 1";
constexpr std::size_t kSignatureOverhead = 32 + 64 + 12;

std::int64_t milliseconds(WallTime t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

std::string serialize(const Ctm& ctm, WallTime now) {
  pb::Ctm message;
  message.set_id(ctm.id);
  message.set_reply(ctm.reply);
  message.set_locate(ctm.locate);
  message.set_only_strangers(ctm.only_strangers);
  message.set_role(static_cast<pb::EdgeRole>(ctm.role));
  ctm.source.write(*message.mutable_source(), kCandidatesMax);
  if (!ctm.via.is_zero()) message.set_via(to_string(ctm.via.bytes()));
  message.set_target(to_string(ctm.target.bytes()));
  for (const Member& m : ctm.neighbours) {
    m.write(*message.add_neighbours(), ring::kListEndpointsMax);
  }
  message.set_nat(static_cast<pb::NatPorts>(ctm.nat));
  message.set_word(to_string(ctm.word));
  message.set_trace(ctm.trace);
  if (ctm.next) {
    message.mutable_next()->set_node(to_string(ctm.next->node.bytes()));
    message.mutable_next()->set_reason(static_cast<pb::TraceHop::Reason>(ctm.next->reason));
    message.mutable_next()->set_relayed(ctm.next->relayed);
  }
  message.set_sent_at(milliseconds(now));
  return message.SerializeAsString();
}

Bytes signed_part(std::string_view ctm) { return concat({view_of(kContext), view_of(ctm)}); }

std::optional<Ctm> parse(const pb::Ctm& message) {
  if (!pb::EdgeRole_IsValid(message.role())) return std::nullopt;
  if (message.neighbours_size() > static_cast<int>(ring::kListDescribedMax)) return std::nullopt;
  Ctm out;
  out.id = message.id();
  out.sent_at = message.sent_at();
  out.reply = message.reply();
  out.locate = message.locate();
  out.only_strangers = message.only_strangers();
  out.role = static_cast<EdgeRole>(message.role());
  const auto source = Member::parse(message.source());
  const auto target = Address::parse(view_of(message.target()));
  if (!source || !target) return std::nullopt;
  out.source = *source;
  out.target = *target;
  if (message.word().size() > ring::kShortcutWordMax) return std::nullopt;
  out.word = to_bytes(message.word());
  out.trace = message.trace();
  if (pb::NatPorts_IsValid(message.nat())) out.nat = static_cast<NatMapping>(message.nat());
  if (message.has_next()) {
    const auto node = Address::parse(view_of(message.next().node()));
    if (!node || !pb::TraceHop::Reason_IsValid(message.next().reason())) return std::nullopt;
    out.next = {*node, static_cast<HopReason>(message.next().reason()), message.next().relayed()};
  }
  if (!message.via().empty()) {
    const auto via = Address::parse(view_of(message.via()));
    if (!via) return std::nullopt;
    out.via = *via;
  }
  for (const auto& m : message.neighbours()) {
    auto member = Member::parse(m);
    if (!member) return std::nullopt;
    member->named_by = out.source.address;
    out.neighbours.push_back(std::move(*member));
  }
  return out;
}

}  // namespace

Bytes sign_ctm(Ctm ctm, const Credentials& credentials, WallTime now) {
  std::string inner = serialize(ctm, now);
  while (inner.size() + kSignatureOverhead > kCtmBytesMax && !ctm.neighbours.empty()) {
    ctm.neighbours.pop_back();
    inner = serialize(ctm, now);
  }
  pb::SignedCtm message;
  message.set_public_key(to_string(credentials.public_key()));
  message.set_signature(to_string(credentials.sign(signed_part(inner))));
  message.set_ctm(std::move(inner));
  return to_bytes(message.SerializeAsString());
}

std::optional<Ctm> open_ctm(ByteView payload, const Credentials& credentials, MetricSlot& metrics) {
  const auto refuse = [&](Metric why) {
    metrics.add(why);
    return std::nullopt;
  };
  pb::SignedCtm outer;
  pb::Ctm inner;
  if (payload.size() > kCtmBytesMax ||
      !outer.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      outer.public_key().size() != 32 || outer.signature().size() != 64 ||
      !inner.ParseFromString(outer.ctm())) {
    return refuse(Metric::kDropMalformed);
  }
  auto ctm = parse(inner);
  if (!ctm) return refuse(Metric::kDropMalformed);
  const auto signer = credentials.signer(view_of(outer.public_key()), signed_part(outer.ctm()),
                                         view_of(outer.signature()));
  if (signer != ctm->source.address) return refuse(Metric::kDropBadSignature);
  return ctm;
}

}  // namespace wow
