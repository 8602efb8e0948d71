#include "overlay/node.h"

#include "overlay/node_core.h"

namespace wow {

Node::Node(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
           MetricSlot& metrics, NodeOptions options)
    : impl_(std::make_unique<Impl>(credentials, clock, random, transport, metrics,
                                   std::move(options))) {}
Node::~Node() = default;

void Node::start() { impl_->start(); }
bool Node::drain() { return impl_->drain(); }
void Node::stop() { impl_->stop(); }

void Node::on_datagram(MutableBytes packet, const Endpoint& from) {
  if (!impl_->takes_from(from)) return;
  if (packet_type(packet) == PacketType::kQuestion && !from.is_stream()) {
    if (from.socket != 0) return impl_->punch_.on_answer(packet, from);
    return impl_->nat_answers_.on_packet(packet, from, false);
  }
  impl_->sessions_.on_datagram(packet, from);
}
void Node::on_stream_closed(const Endpoint& far) {
  if (!impl_->stopped_) impl_->sessions_.on_stream_closed(far);
}
void Node::on_opened(std::uint32_t receive_index, ByteView plain, const Endpoint& from,
                     std::uint32_t circuit) {
  if (impl_->takes_from(from)) impl_->sessions_.on_opened(receive_index, plain, from, circuit);
}
void Node::on_network_change() { impl_->on_network_change(); }

void Node::set_named_bootstraps(const std::vector<Endpoint>& endpoints) {
  impl_->join_.set_named(endpoints);
}
void Node::set_mapped_endpoint(const std::optional<Endpoint>& endpoint) {
  if (!impl_->stopped_) impl_->whereabouts_.set_mapped(endpoint);
}
void Node::set_other_port(std::uint16_t port, std::function<void(const Endpoint&, ByteView)> send) {
  impl_->send_from_other_port_ = std::move(send);
  impl_->nat_answers_.set_other_port(port);
}
void Node::on_other_port(MutableBytes packet, const Endpoint& from) {
  if (impl_->takes_from(from)) impl_->nat_answers_.on_packet(packet, from, true);
}
void Node::on_lan_member(const Member& member) { impl_->on_lan_member(member); }

const Address& Node::address() const { return impl_->self; }
bool Node::joined() const { return impl_->joined(); }
bool Node::alone() const { return impl_->join_.alone(); }
void Node::on_joined(std::function<void()> fire) {
  impl_->joined_observers_.push_back(std::move(fire));
}

bool Node::send(const Address& to, Service service, ByteView message) {
  if (message.size() > kMessageBytesMax) return false;
  if (!impl_->stopped_) impl_->send(to, service, message);
  return true;
}
bool Node::broadcast(Service service, ByteView payload) {
  return impl_->broadcasts_.send(static_cast<std::uint8_t>(service), payload);
}

void Node::set_broadcast_handler(Service service, BroadcastHandler handler) {
  impl_->broadcast_handlers_[static_cast<std::uint8_t>(service)] = std::move(handler);
}

void Node::set_handler(Service service, MessageHandler handler) {
  impl_->handlers_[static_cast<std::uint8_t>(service)] = std::move(handler);
}
void Node::locate(const Address& target, std::function<void(std::optional<Address>)> done) {
  impl_->introducer_.locate(target, {}, std::move(done));
}

void Node::trace(const Address& target, std::function<void(std::vector<TraceStep>)> done) {
  if (!impl_->stopped_) impl_->tracer_.trace(target, std::move(done));
}

void Node::want_shortcut(const Address& peer, ByteView word) { impl_->want_shortcut(peer, word); }
void Node::set_shortcut_observer(std::function<void(const Address&, ByteView)> observer) {
  impl_->shortcut_observer_ = std::move(observer);
}
bool Node::send_frame(const Address& peer, ByteView frame, std::uint8_t facts) {
  return !impl_->stopped_ && impl_->send_frame(peer, frame, facts);
}
void Node::set_frame_handler(std::function<void(Session&, ByteView, std::uint8_t)> handler) {
  impl_->frame_handler_ = std::move(handler);
}
void Node::set_session_observer(std::function<void(const Address&, Session*)> observer) {
  impl_->session_observer_ = std::move(observer);
}

bool Node::adopt_settings(ByteView signed_settings) {
  return impl_->settings_.adopt(signed_settings);
}
void Node::set_settings_observer(std::function<void()> observer) {
  impl_->settings_observer_ = std::move(observer);
}

Session* Node::session(const Address& peer) { return impl_->sessions_.find(peer); }
SecondRelay Node::second_relay(std::uint32_t circuit) const {
  return impl_->relays_.second_relay(circuit);
}
Sessions& Node::sessions() { return impl_->sessions_; }
std::vector<EdgeInfo> Node::edges() const { return impl_->edges_info(); }
std::vector<Address> Node::nearest_known(const Address& target, std::size_t count) const {
  return impl_->nearest_known(target, count);
}
std::vector<NodeOptions::Remembered> Node::remember() const { return impl_->remember(); }
std::vector<Endpoint> Node::own_candidates() const { return impl_->whereabouts_.candidates(); }
NatMapping Node::nat_mapping() const { return impl_->whereabouts_.mapping(); }
Duration Node::flow_keepalive() const { return impl_->flow_keepalive(); }
double Node::size_estimate() const { return impl_->ring_.size(); }
NodeTables Node::tables() const {
  return {impl_->sessions_.size(),
          impl_->linker_.size(),
          impl_->introducer_.pending(),
          impl_->ring_.hints(),
          impl_->forwarder_.vias(),
          impl_->shortcuts_.size(),
          impl_->messages_.outbox_bytes(),
          impl_->messages_.partial_bytes(),
          impl_->sessions_.circuits().passed_on(),
          impl_->sessions_.circuits().ends(),
          impl_->circuit_requests_.size(),
          impl_->relays_.searches(),
          impl_->relays_.asked(),
          impl_->broadcasts_.tasks(),
          impl_->forwarder_.unacknowledged(),
          impl_->forwarder_.is_gateway()};
}
Route Node::route_of(const RoutedHeader& header, const Address& came_from) const {
  return impl_->forwarder_.route_of(header, came_from);
}
bool Node::is_neighbour(const Address& peer) const {
  const Edge* edge = impl_->edges_.find(peer);
  return edge != nullptr && edge->usable() && edge->is_near();
}
std::vector<Address> Node::neighbours() const {
  std::vector<Address> out;
  for (const auto& [peer, edge] : impl_->edges_.all()) {
    if (edge.usable() && edge.is_near()) out.push_back(peer);
  }
  return out;
}

}  // namespace wow
