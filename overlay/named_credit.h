// What may still be sent to addresses that a peer, or somebody else for it, has named and nobody
// has shown to be its own. Else a member that names a victim's addresses would have us flood it
// (RFC 8445, 19.5.1): so three bytes for each that was received (RFC 9000, 8.1), and none in
// advance. One account a peer. Its session's bytes fill it; whoever names others pays with its own.
// Pure bookkeeping, in bytes of packets. One thread.
#pragma once

#include <boost/container/flat_map.hpp>
#include <cstddef>
#include <cstdint>

#include "base/address.h"

namespace wow {

class NamedCredit {
 public:
  static constexpr std::uint64_t kFactor = 3;
  static constexpr std::uint64_t kSavedMax = 32 * 1024;  // of one peer
  // Accounts of peers without a session; full: the oldest is forgotten, and its credit with it.
  static constexpr std::size_t kUnmetMax = 512;
  // What either end of a key exchange sends after its first flight, halved: an exchange changes the
  // keys in use twice at most, back to the old ones if its end was never seen.
  static constexpr std::uint64_t kExchangeBytes = 330;

  // So many bytes have come from the peer of a session in all, under the keys that it uses now.
  void count(const Address& peer, std::uint32_t keys, std::uint64_t bytes);
  // Credit of `from`, as far as it has so much, becomes that of `to`, who has no session perhaps.
  void lend(const Address& from, const Address& to, std::uint64_t credit);
  // Out of nowhere: the caller says why that harms nobody.
  void grant(const Address& peer, std::uint64_t credit);
  // Whether the peer has paid for so many bytes more; they count as sent.
  bool spend(const Address& peer, std::uint64_t bytes);
  // Its session has ended.
  void on_closed(const Address& peer);

  std::uint64_t of(const Address& peer) const;
  std::size_t size() const { return accounts_.size(); }

 private:
  struct Account {
    std::uint64_t counted = 0;  // of the bytes under these keys
    std::uint32_t keys = 0;     // 0: no session
    std::uint32_t credit = 0;   // kSavedMax at most
    std::uint64_t unmet = 0;    // order of having become one without a session
  };
  void add(Account& account, std::uint64_t credit);
  void note_unmet(Account& account);

  boost::container::flat_map<Address, Account> accounts_;  // packed: a node has one for each peer
  std::uint64_t order_ = 0;
};

}  // namespace wow
