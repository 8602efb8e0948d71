#include "tests/tunnel/session_harness.h"

namespace wow {

Party::Party(Net& net, SimHost& simulated, std::uint64_t seed, FakeIdentityOptions identity,
             SessionLimits limits)
    : host(simulated), net_(net), seed_(seed), identity_(identity), limits_(limits) {
  start();
}

void Party::start() {
  if (!host.is_up()) net_.world.restart(host);
  credentials_ = std::make_unique<FakeCredentials>(seed_, identity_);
  ++identity_.incarnation;
  sessions_ = std::make_unique<Sessions>(*credentials_, host.clock(), host.random(), *this,
                                         *metrics_, *this, limits_);
  host.set_receiver(
      [this](MutableBytes packet, const Endpoint& from) { sessions_->on_datagram(packet, from); });
}

void Party::kill() {
  net_.world.crash(host);
  host.set_receiver({});
  sessions_.reset();
}

bool Party::say(const Party& to, const std::string& text) {
  return sessions_->send(to.address(), DataKind::kControl, view_of(text));
}

bool Party::is_open(const Party& other) {
  const Session* s = session(other);
  return s != nullptr && s->state() == SessionState::kOpen;
}

bool Party::is_direct(const Party& other) {
  const Session* s = session(other);
  return s != nullptr && s->is_direct();
}

void Party::on_open(Session& session) {
  opened.push_back(session.peer());
  if (when_open) when_open(session);
}

void Party::on_closed(const Address& peer, const Path& path, CloseReason reason) {
  closed.push_back({peer, path, reason});
}

void Party::on_control(Session&, ByteView piece) {
  heard.push_back(to_string(piece));
  heard_set.insert(heard.back());
}

void Party::send_routed(const Address& peer, const Address&, ByteView packet) {
  net_.route(*this, peer, to_bytes(packet));
}

void Party::send(std::span<const Datagram> batch) {
  for (const Datagram& datagram : batch) {
    const Bytes packet = concat({datagram.head, datagram.body});
    bytes_sent += packet.size();
    ++packets_sent;
    if (filter && !filter(packet, datagram.to)) continue;
    host.send({&datagram, 1});
  }
}

Party& Net::add(FakeIdentityOptions identity, SessionLimits limits) {
  const std::uint64_t seed = parties_.size() + 1;
  SimHost& host = world.add_host("198.51.100." + std::to_string(seed));
  parties_.push_back(std::make_unique<Party>(*this, host, seed, identity, limits));
  return *parties_.back();
}

Party& Net::add_at(std::string_view ip, Site* site, SessionLimits limits) {
  SimHost& host = world.add_host(ip, site);
  parties_.push_back(
      std::make_unique<Party>(*this, host, parties_.size() + 1, FakeIdentityOptions(), limits));
  return *parties_.back();
}

Party& Net::add_copy(std::uint64_t seed) {
  SimHost& host = world.add_host("198.51.100." + std::to_string(parties_.size() + 1));
  parties_.push_back(
      std::make_unique<Party>(*this, host, seed, FakeIdentityOptions(), SessionLimits()));
  return *parties_.back();
}

Party* Net::find(const Address& address) {
  for (const auto& party : parties_) {
    if (party->address() == address) return party.get();
  }
  return nullptr;
}

void Net::route(const Party& from, const Address& to, Bytes packet) {
  ring_bytes_max = std::max(ring_bytes_max, packet.size());
  Party* receiver = find(to);
  if (!ring_up || receiver == nullptr || !receiver->host.is_up()) return;
  if (parties_[0]->host.random().unit() < ring_loss) return;
  receiver->host.clock().schedule(
      world.now() + ring_latency,
      [this, receiver, source = from.address(), packet = std::move(packet)]() mutable {
        if (ring_up) receiver->sessions().on_routed_packet(source, Address(), packet);
      });
}

std::uint32_t receiver_index(ByteView packet) {
  const auto header = DataHeader::parse(packet);
  return header ? header->receiver_index : 0;
}

}  // namespace wow
