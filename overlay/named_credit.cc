#include "overlay/named_credit.h"

#include <algorithm>

namespace wow {

void NamedCredit::count(const Address& peer, std::uint32_t keys, std::uint64_t bytes) {
  Account& account = accounts_[peer];
  if (account.keys != keys) {
    account.keys = keys;
    add(account, kFactor * kExchangeBytes);
  } else if (bytes > account.counted) {
    add(account, kFactor * (bytes - account.counted));
  }
  account.counted = bytes;
}

void NamedCredit::lend(const Address& from, const Address& to, std::uint64_t credit) {
  const auto lender = accounts_.find(from);
  if (from == to || lender == accounts_.end()) return;
  const std::uint64_t lent = std::min<std::uint64_t>(credit, lender->second.credit);
  lender->second.credit -= static_cast<std::uint32_t>(lent);
  if (lent > 0) grant(to, lent);
}

void NamedCredit::grant(const Address& peer, std::uint64_t credit) {
  const auto [account, is_new] = accounts_.try_emplace(peer);
  add(account->second, credit);
  if (is_new) note_unmet(account->second);
}

bool NamedCredit::spend(const Address& peer, std::uint64_t bytes) {
  const auto account = accounts_.find(peer);
  if (account == accounts_.end() || account->second.credit < bytes) return false;
  account->second.credit -= static_cast<std::uint32_t>(bytes);
  return true;
}

// What it has paid for may still be needed: its neighbours are looked for where it said they are.
void NamedCredit::on_closed(const Address& peer) {
  const auto account = accounts_.find(peer);
  if (account == accounts_.end()) return;
  account->second.keys = 0;
  note_unmet(account->second);
}

std::uint64_t NamedCredit::of(const Address& peer) const {
  const auto account = accounts_.find(peer);
  return account == accounts_.end() ? 0 : account->second.credit;
}

void NamedCredit::add(Account& account, std::uint64_t credit) {
  account.credit = static_cast<std::uint32_t>(std::min(account.credit + credit, kSavedMax));
}

void NamedCredit::note_unmet(Account& account) {
  account.unmet = ++order_;
  std::size_t unmet = 0;
  auto oldest = accounts_.end();
  for (auto i = accounts_.begin(); i != accounts_.end(); ++i) {
    if (i->second.keys != 0) continue;
    ++unmet;
    if (oldest == accounts_.end() || i->second.unmet < oldest->second.unmet) oldest = i;
  }
  if (unmet > kUnmetMax) accounts_.erase(oldest);
}

}  // namespace wow
