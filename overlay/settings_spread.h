// Spreads the pool's signed settings: numbers are compared when a session opens and with every
// summary (lists.h); whoever holds newer ones sends them, and what is adopted goes on to all peers.
#pragma once

#include <functional>

#include "overlay/hub.h"

namespace wow {

namespace pb {
class SettingsState;
}

class SettingsSpread {
 public:
  SettingsSpread(Hub& hub, std::function<void()> adopted)
      : hub_(hub), adopted_(std::move(adopted)) {}

  // Tells our number.
  void greet(const Address& peer);
  void on_state(const Address& from, const pb::SettingsState& state);
  // The peer holds settings of this number.
  void on_number(const Address& from, std::uint64_t number);
  // False: not valid or not newer.
  bool adopt(ByteView signed_settings, const Address& from = {});

 private:
  void send(const Address& to, bool with_settings);

  Hub& hub_;
  std::function<void()> adopted_;
};

}  // namespace wow
