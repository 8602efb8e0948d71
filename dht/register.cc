#include "dht/register.h"

namespace wow::dht {

std::optional<Register> Register::parse(const pb::Register& wire) {
  Register out;
  out.promised = Ballot::parse(wire.promised());
  if (wire.accepted_epoch() == 0) return out;
  out.accepted = {wire.accepted_epoch(), Ballot::parse(wire.accepted())};
  out.record = wire.record();
  if (wire.key() == kNextKey) return out;
  out.value = Value::parse(out.record);
  if (!out.value || out.value->key != wire.key()) return std::nullopt;
  out.value->data.clear();
  return out;
}

pb::Register Register::to_wire(const std::string& key, TimePoint now, bool with_record) const {
  pb::Register out;
  out.set_key(key);
  promised.to_wire(*out.mutable_promised());
  if (!accepted.is_set()) return out;
  accepted.ballot.to_wire(*out.mutable_accepted());
  out.set_accepted_epoch(accepted.epoch);
  out.set_age_ms(to_ms(now - since));
  if (with_record) *out.mutable_record() = record;
  return out;
}

}  // namespace wow::dht
