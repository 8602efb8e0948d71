// What the pool is told about this node, under "node/ADDRESS": by which invite it came, its name,
// and which run of the daemon has this key now. By the last, two machines with one key find out: a
// copied disk, or a virtual machine that was cloned while it ran. The one that was there first
// stays, and says so in the record; the other reads that and stops. Synchronous; control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/address.h"
#include "base/clock.h"
#include "base/random.h"
#include "dht/dht.h"

namespace wow {

class OwnRecord {
 public:
  // A member that was away for months is a member still: `wow invite close` keeps whom these
  // records name.
  static constexpr Duration kLife = 365 * 24h;
  static constexpr Duration kRenewed = 24h;
  static constexpr Duration kRetry = 5s;
  // Between two times that the peers are asked to hear us, and no other; doubled as long as the
  // store says nothing.
  static constexpr Duration kRenewPause = 20s;
  static constexpr Duration kRenewPauseMost = 10min;
  // How often the record is looked at; sooner in the first minute, and when there is unrest.
  static constexpr Duration kLook = 60s;
  static constexpr Duration kLookSoon = 5s;
  static constexpr Duration kSoonFor = 1min;

  struct Facts {
    Bytes invite_id;
    std::string name;
    bool router = false;
  };
  struct Hooks {
    std::function<void(const std::string& key, Dht::Done)> get;
    std::function<void(const std::string& key, ByteView data, Duration ttl, Dht::Done)> put;
    // The store does not answer, or answers another with our key: each peer is to hear us anew.
    std::function<void()> unheard;
    // Another machine has begun to use our key; it is told that it is the second.
    std::function<void()> copied;
    // We are the second: nothing more may be sent with this key. The record is left alone from now.
    std::function<void()> is_copy;
  };

  OwnRecord(const Address& self, Facts facts, Clock& clock, Random& random, Hooks hooks);

  // We are on the ring, or the store may have forgotten us.
  void keep();
  // Sessions are made and lost: another may be speaking with our key.
  void unrest();
  // This process may have been copied as it runs (the machine was restored from a snapshot, or is
  // elsewhere now): it is another run from here on, unless the record says that another was first.
  void begin_anew();
  // This process is a copy, or was set back: whoever has our key now was there before, even if it
  // is another run since, and it is for it to say so.
  void was_copied();
  void stop() { timer_.cancel(); }

 private:
  void look();
  void on_silence();
  void on_answer();
  void on_record(const Result<DhtRecord>& record);
  void write();
  void wait();

  const std::string key_;
  const Facts facts_;
  Clock& clock_;
  Random& random_;
  Hooks hooks_;
  std::string run_;       // 8 random bytes
  std::string second_;    // the run that was told to stop
  bool written_ = false;  // the store has had this run
  bool anew_ = false;     // and is to have another
  bool asking_ = false;
  bool over_ = false;
  bool unrest_ = false;
  bool silent_ = false;  // the last question had no answer
  Duration renew_pause_ = kRenewPause;
  TimePoint began_{}, renewed_{}, may_renew_{};
  Timer timer_;
};

}  // namespace wow
