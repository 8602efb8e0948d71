#include "tap/directory.h"

#include <algorithm>
#include <map>
#include <utility>

#include "dht/inner_ipv6.h"
#include "tap/names.h"

namespace wow {
namespace {

constexpr Duration kFollowPerLease = 20ms;
constexpr Duration kFollowPauseMax = 16s;

bool same_names(const std::vector<LeaseRow>& a, const std::vector<LeaseRow>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto& x, auto& y) {
    return x.ip == y.ip && x.name == y.name && x.node == y.node;
  });
}

}  // namespace

Directory::Directory(DhtCalls dht, Resolver& resolver, Clock& clock, std::string pool,
                     const Prefix& subnet6)
    : dht_(std::move(dht)),
      resolver_(resolver),
      clock_(clock),
      pool_(std::move(pool)),
      subnet6_(subnet6),
      follow_timer_(clock) {}

// A guest has none.
IpAddress Directory::ip6_of(const Address& node, const MacAddress& mac) const {
  return mac == mac_of(node) ? inner_ipv6(subnet6_, node) : IpAddress();
}

LeaseRow Directory::row_of(const Binding& binding, const std::string& name) const {
  return {binding.ip, name, binding.node, std::max(Duration{}, binding.valid_until - clock_.now()),
          ip6_of(binding.node, binding.mac)};
}

void Directory::by_ip6(const IpAddress& ip, Found found) {
  list([this, ip, found = std::move(found)](Result<std::vector<LeaseRow>> rows) {
    if (!rows) return found(rows.error());
    const auto row = std::find_if(rows->begin(), rows->end(),
                                  [&](auto& one) { return one.ip6 == ip || one.ip == ip; });
    if (row != rows->end()) return found(*row);
    found(Error{ErrorCode::kNotFound, "no host of pool " + pool_ + " is at " + ip.text()});
  });
}

void Directory::by_ip(const IpAddress& ip, Found found) {
  if (!ip.is_v4()) return by_ip6(ip, std::move(found));
  resolver_.resolve(ip, [this, found = std::move(found)](Result<Binding> binding) {
    if (!binding) return found(binding.error());
    if (binding->name.empty()) return found(row_of(*binding, ""));
    const auto named = [this, found, binding](Result<DhtRecord> record) {
      const bool holds =
          record && record->owner == binding->node && parse_name_record(*record) == binding->ip;
      found(row_of(*binding, holds ? binding->name : ""));
    };
    dht_.look_up(name_key(binding->name), named, nullptr);
  });
}

void Directory::by_name(const std::string& name, Found found, Dht::Likely likely) {
  const auto named = [this, name, found = std::move(found), likely](Result<DhtRecord> record) {
    const Error nobody{ErrorCode::kNotFound, "no host of pool " + pool_ + " is named " + name};
    if (!record) {
      return found(record.error().code == ErrorCode::kNotFound ? nobody : record.error());
    }
    const auto ip = parse_name_record(*record);
    if (!ip) return found(nobody);
    if (likely) likely(record->owner);
    resolver_.resolve(*ip, [this, name, nobody, found, owner = record->owner](auto binding) {
      if (!binding) {
        return found(binding.error().code == ErrorCode::kNotFound ? nobody : binding.error());
      }
      if (binding->node != owner) return found(nobody);
      found(row_of(*binding, name));
    });
  };
  dht_.look_up(name_key(name), named, std::move(likely));
}

void Directory::list(Listed listed) {
  fetch(kIpKeys, leases_, [this, listed = std::move(listed)](Result<bool> done) {
    if (!done) return listed(done.error());
    fetch(kNameKeys, names_, [this, listed](Result<bool> named) {
      if (!named) return listed(named.error());
      listed(join());
    });
  });
}

void Directory::follow(Duration interval,
                       std::function<void(const std::vector<LeaseRow>&)> changed) {
  follow_interval_ = follow_pause_ = interval;
  changed_ = std::move(changed);
  told_.reset();
  leases_changed_ = true;
  if (interval > Duration{}) {
    poll();
  } else {
    follow_timer_.cancel();
  }
}

void Directory::hurry() {
  if (!follow_timer_.is_set()) return;
  follow_pause_ = follow_interval_;
  if (follow_timer_.due() - clock_.now() > follow_interval_) {
    follow_timer_.after(follow_interval_, [this] { poll(); });
  }
}

void Directory::fetch(std::string_view prefix, Page& page, std::function<void(Result<bool>)> done) {
  const auto keep = [this, &page, sent = page.digest, done = std::move(done)](auto records,
                                                                              Bytes digest) {
    if (!records) return done(records.error());
    const bool changed = sent.empty() || digest != sent;
    if (changed) {
      page = {std::move(digest), std::move(*records), clock_.now()};
    }
    done(changed);
  };
  dht_.list(std::string(prefix), page.digest, keep);
}

std::vector<LeaseRow> Directory::join() const {
  std::map<std::pair<IpAddress, Address>, std::string> names;
  for (const DhtRecord& record : names_.records) {
    const std::string name = record.key.substr(std::min(record.key.size(), kNameKeys.size()));
    const auto ip = parse_name_record(record);
    if (ip && is_host_name(name)) names.try_emplace({*ip, record.owner}, name);
  }
  const TimePoint now = clock_.now();
  std::vector<LeaseRow> rows;
  for (const DhtRecord& record : leases_.records) {
    const auto lease = parse_lease(record);
    const Duration left = record.ttl - record.age - (now - leases_.at);
    if (!lease || left <= Duration{}) continue;
    const auto name = names.find({lease->ip, record.owner});
    rows.push_back({lease->ip, name == names.end() ? "" : name->second, record.owner, left,
                    ip6_of(record.owner, lease->mac.value_or(mac_of(record.owner)))});
  }
  std::sort(rows.begin(), rows.end(), [](auto& a, auto& b) { return a.ip < b.ip; });
  return rows;
}

void Directory::poll() {
  // The longer the list, the dearer and the rarer: a large pool pays no more than a small one.
  // While nothing changes the pauses grow, too.
  const auto length = static_cast<int>(leases_.records.size());
  follow_timer_.after(follow_pause_ + length * kFollowPerLease, [this] { poll(); });
  follow_pause_ = std::min(follow_pause_ * 2, std::max(kFollowPauseMax, follow_interval_));
  fetch(kIpKeys, leases_, [this](Result<bool> changed) {
    if (!changed) return;
    // Whoever takes a name writes it into the lease just before or after: so while leases stay as
    // they are, so do names, and one digest is all that is asked for.
    if (*changed) follow_pause_ = follow_interval_;
    const bool before = std::exchange(leases_changed_, *changed);
    if (!before && !*changed) return tell_if_changed();
    fetch(kNameKeys, names_, [this](Result<bool> done) {
      if (done) return tell_if_changed();
      leases_changed_ = true;
    });
  });
}

void Directory::tell_if_changed() {
  if (follow_interval_ <= Duration{}) return;
  const auto rows = join();
  if (told_ && same_names(*told_, rows)) return;
  told_ = rows;
  changed_(rows);
}

}  // namespace wow
