#include "dht/own_record.h"

#include <algorithm>
#include <utility>

#include "proto/vnet.pb.h"

namespace wow {
namespace {

constexpr Duration kLookRenewed = 1s;  // for the exchanges that it takes to be heard

std::string new_run(Random& random) {
  Writer out;
  out.u64(random.u64());
  return to_string(out.view());
}

}  // namespace

OwnRecord::OwnRecord(const Address& self, Facts facts, Clock& clock, Random& random, Hooks hooks)
    : key_("node/" + self.hex()),
      facts_(std::move(facts)),
      clock_(clock),
      random_(random),
      hooks_(std::move(hooks)),
      run_(new_run(random)),
      began_(clock.now()),
      timer_(clock) {}

// The first time there is nothing to learn: whose run is in the record, the last of ours or
// another's, nobody can tell.
void OwnRecord::keep() {
  if (over_ || asking_) return;
  if (written_) return look();
  began_ = clock_.now();
  write();
}

void OwnRecord::unrest() {
  unrest_ = true;
  if (asking_ || over_) return;
  // Whose address is another's too may never get a place on the ring.
  if (!written_ && !timer_.is_set()) return timer_.after(kRetry, [this] { keep(); });
  if (written_ && timer_.is_set() && timer_.due() - clock_.now() > kLookSoon)
    timer_.after(kLookSoon, [this] { look(); });
}

void OwnRecord::begin_anew() {
  anew_ = true;
  began_ = clock_.now();
  keep();
}

// What is on its way is done first; then there is nothing to learn, as at the start.
void OwnRecord::was_copied() {
  if (over_) return;
  anew_ = written_ = false;
  second_.clear();
  run_ = new_run(random_);
  began_ = clock_.now();
  if (!asking_) write();
}

void OwnRecord::look() {
  if (over_ || asking_) return;
  asking_ = true;
  hooks_.get(key_, [this](const Result<DhtRecord>& record) {
    asking_ = false;
    on_record(record);
  });
}

// Of two machines with one key that is answered which its peers heard last: each gets its turn.
void OwnRecord::on_silence() {
  const bool is_sure = silent_ || (unrest_ && written_);  // at the start a store may be yet to come
  const bool is_turn = is_sure && clock_.now() >= may_renew_;
  silent_ = true;
  timer_.after(is_turn ? kLookRenewed : kRetry, [this] { look(); });
  if (!is_turn) return;
  may_renew_ = clock_.now() + renew_pause_;
  renew_pause_ = std::min(2 * renew_pause_, kRenewPauseMost);
  hooks_.unheard();
}

void OwnRecord::on_answer() {
  unrest_ = silent_ = false;
  renew_pause_ = kRenewPause;
}

void OwnRecord::on_record(const Result<DhtRecord>& record) {
  if (!record && record.error().code != ErrorCode::kNotFound) return on_silence();
  on_answer();
  pb::NodeRecord said;
  const bool known =
      record && said.ParseFromArray(record->data.data(), static_cast<int>(record->data.size()));
  // Also before we know that we were heard: with one key, answers to us go to the other.
  if (known && said.second() == run_) {
    over_ = true;
    timer_.cancel();
    return hooks_.is_copy();
  }
  if (known && said.run() != run_ && written_) {
    second_ = said.run();
    hooks_.copied();
    return write();
  }
  if (known && written_ && !anew_ && clock_.now() - renewed_ < kRenewed) return wait();
  if (std::exchange(anew_, false)) run_ = new_run(random_);
  write();
}

void OwnRecord::write() {
  pb::NodeRecord record;
  record.set_invite_id(to_string(facts_.invite_id));
  record.set_name(facts_.name);
  record.set_router(facts_.router);
  record.set_run(run_);
  record.set_second(second_);
  const std::string bytes = record.SerializeAsString();
  asking_ = true;
  hooks_.put(key_, view_of(bytes), kLife, [this, run = run_](const Result<DhtRecord>& stored) {
    asking_ = false;
    if (run != run_) return write();
    if (!stored) return on_silence();
    on_answer();
    written_ = true;
    renewed_ = clock_.now();
    wait();
  });
}

void OwnRecord::wait() {
  const bool soon = clock_.now() - began_ < kSoonFor;
  timer_.after(soon ? kLookSoon : kLook, [this] { look(); });
}

}  // namespace wow
