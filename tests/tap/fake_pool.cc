#include "tests/tap/fake_pool.h"

#include <algorithm>
#include <stdexcept>

#include "proto/vnet.pb.h"
#include "tap/names.h"

namespace wow {

Neighbours::Locate FakeRing::locate() {
  return [this](const Address& place, Neighbours::Done done) {
    ++located;
    clock_.schedule(clock_.now() + FakeDht::kRoundTrip, [this, place, done] {
      done(*std::min_element(members.begin(), members.end(),
                             [&](auto& a, auto& b) { return nearer(a, b, place); }));
    });
  };
}

DhtCalls FakeDht::calls_for(const Address& self) {
  const auto write_call = [this, self](const char* what) {
    return [this, self, what](const std::string& key, ByteView data, Duration ttl, Dht::Done done) {
      later(
          std::string(what) + " " + key,
          [this, self, key, data = to_bytes(data), ttl] { return write(key, self, data, ttl); },
          std::move(done));
    };
  };
  DhtCalls calls;
  calls.look_up = [this](const std::string& key, Dht::Done done, Dht::Likely likely) {
    if (likely) {
      clock_.schedule(clock_.now() + kRoundTrip / 2, [this, key, likely] {
        if (const DhtRecord* record = find(key); available && record) likely(record->owner);
      });
    }
    later(
        "get " + key,
        [this, key]() -> Result<DhtRecord> {
          if (const DhtRecord* record = find(key)) return *record;
          return Error{ErrorCode::kNotFound, "no " + key};
        },
        std::move(done));
  };
  calls.create = write_call("create");
  calls.put = write_call("put");
  calls.remove = [this, self](const std::string& key, Dht::Done done) {
    later(
        "remove " + key,
        [this, self, key]() -> Result<DhtRecord> {
          const DhtRecord* record = find(key);
          if (!record) return Error{ErrorCode::kNotFound, "no " + key};
          if (record->owner != self) return Error{ErrorCode::kPermission, "not yours"};
          const DhtRecord removed = *record;
          table_.erase(key);
          return removed;
        },
        std::move(done));
  };
  calls.list = [this](const std::string& prefix, const Bytes& digest, Dht::Listed done) {
    asked.push_back("list " + prefix);
    clock_.schedule(clock_.now() + kRoundTrip, [this, prefix, digest, done] {
      if (!available) return done(Error{ErrorCode::kUnavailable, "no majority"}, {});
      std::vector<DhtRecord> records;
      Bytes now{1};
      for (const auto& [key, record] : std::map(table_)) {
        if (!key.starts_with(prefix) || !find(key)) continue;
        records.push_back(*find(key));
        const std::string text = key + record.owner.hex() + to_hex(record.data);
        now.insert(now.end(), text.begin(), text.end());
      }
      if (now == digest) records.clear();
      done(std::move(records), now);
    });
  };
  return calls;
}

void FakeDht::later(const std::string& what, Answer answer, Dht::Done done) {
  asked.push_back(what);
  clock_.schedule(clock_.now() + kRoundTrip, [this, answer, done] {
    if (!available) return done(Error{ErrorCode::kUnavailable, "no majority"});
    done(answer());
  });
}

Result<DhtRecord> FakeDht::write(const std::string& key, const Address& owner, const Bytes& data,
                                 Duration ttl) {
  const DhtRecord* held = find(key);
  if (held && held->owner != owner) {
    return Error{ErrorCode::kAlreadyExists, "held by " + held->owner.short_hex()};
  }
  // One lease a node, as the replicas see to.
  if (hold_many.contains(owner)) {
    set(key, owner, data, ttl);
    return table_[key];
  }
  for (const auto& [other, record] : std::map(table_)) {
    if (key.starts_with(kIpKeys) && other.starts_with(kIpKeys) && other != key &&
        record.owner == owner && find(other)) {
      return Error{ErrorCode::kPermission, "its owner already holds " + other};
    }
  }
  set(key, owner, data, ttl);
  return table_[key];
}

const DhtRecord* FakeDht::find(const std::string& key) {
  const auto found = table_.find(key);
  if (found == table_.end()) return nullptr;
  found->second.age = clock_.now() - written_[key];
  return found->second.age < found->second.ttl ? &found->second : nullptr;
}

void FakeDht::set_lease(const std::string& ip, const Address& owner, const std::string& name,
                        Duration ttl) {
  pb::Lease lease;
  lease.set_ip(ip);
  lease.set_name(name);
  set("ip/" + ip, owner, to_bytes(lease.SerializeAsString()), ttl);
}

void FakeDht::set_name(const std::string& name, const Address& owner, const std::string& ip) {
  pb::NameRecord record;
  record.set_ip(ip);
  set("name/" + name, owner, to_bytes(record.SerializeAsString()));
}

Address node_address(std::uint8_t n) {
  std::array<std::uint8_t, Address::kBytes> bytes{};
  bytes.fill(n);
  return Address::from_bytes(bytes);
}

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }

}  // namespace wow
