#include "overlay/settings_spread.h"

#include "proto/overlay.pb.h"

namespace wow {

void SettingsSpread::greet(const Address& peer) { send(peer, false); }

void SettingsSpread::on_state(const Address& from, const pb::SettingsState& state) {
  const std::uint64_t ours = hub_.credentials.settings_number();
  if (state.number() <= ours || state.signed_settings().empty()) {
    return on_number(from, state.number());
  }
  adopt(view_of(state.signed_settings()), from);
}

void SettingsSpread::on_number(const Address& from, std::uint64_t number) {
  const std::uint64_t ours = hub_.credentials.settings_number();
  if (number < ours) send(from, true);
  if (number > ours) send(from, false);  // asks for them
}

bool SettingsSpread::adopt(ByteView signed_settings, const Address& from) {
  if (!hub_.credentials.adopt_settings(signed_settings)) return false;
  for (const auto& [peer, edge] : hub_.edges.all()) {
    if (peer != from) send(peer, true);
  }
  // After the news has left: those who are dropped now would have told their neighbours, too.
  hub_.later([this] {
    hub_.sessions.drop_unwelcome();
    adopted_();
  });
  return true;
}

void SettingsSpread::send(const Address& to, bool with_settings) {
  pb::Link link;
  pb::SettingsState& state = *link.mutable_settings();
  state.set_number(hub_.credentials.settings_number());
  if (with_settings) {
    state.set_signed_settings(to_string(hub_.credentials.signed_settings()));
  }
  hub_.send_link(to, link);
}

}  // namespace wow
