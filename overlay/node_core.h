// The inside of Node: owns the parts, hands them what sessions report, and does for them what Hub
// promises.
#pragma once

#include <array>
#include <map>

#include "nat/flow_timeout.h"
#include "overlay/broadcast.h"
#include "overlay/circuit_requests.h"
#include "overlay/edge_table.h"
#include "overlay/far.h"
#include "overlay/forwarder.h"
#include "overlay/hub.h"
#include "overlay/introducer.h"
#include "overlay/join.h"
#include "overlay/linker.h"
#include "overlay/lists.h"
#include "overlay/merge.h"
#include "overlay/messages.h"
#include "overlay/named_credit.h"
#include "overlay/nat_answers.h"
#include "overlay/node.h"
#include "overlay/punch.h"
#include "overlay/relays.h"
#include "overlay/ring.h"
#include "overlay/role_talk.h"
#include "overlay/settings_spread.h"
#include "overlay/shortcuts.h"
#include "overlay/tracer.h"
#include "overlay/upgrades.h"
#include "overlay/whereabouts.h"

namespace wow {

class Node::Impl final : public Hub, public Sessions::Listener {
 public:
  Impl(Credentials& credentials, Clock& clock, Random& random, Transport& transport,
       MetricSlot& metrics, NodeOptions options);

  void start();
  bool drain() { return !stopped_ && circuit_requests_.drain(); }
  void stop();
  void close_sessions(const std::function<bool(const Session&)>& which);
  void send(const Address& to, Service service, ByteView message);
  bool send_frame(const Address& peer, ByteView frame, std::uint8_t facts);
  std::vector<EdgeInfo> edges_info();
  std::vector<Member> remember() const;
  std::vector<Address> nearest_known(const Address& target, std::size_t count) const;
  void on_network_change();
  void on_lan_member(const Member& member);
  // Whether datagrams from there are taken: never out of the network that we carry ourselves.
  bool takes_from(const Endpoint& from);

  // Hub
  bool joined() const override {
    return !stopped_ && ((edges_.on_ring() && ring_.settled()) || join_.alone());
  }
  void later(std::function<void()> what) override;
  void send_link(const Address& peer, pb::Link link, Answer answer) override;
  void locate(const Address& target, const Address& first_hop,
              std::function<void(std::optional<Address>)> done) override {
    introducer_.locate(target, first_hop, std::move(done));
  }
  void send_message(const Address& peer, std::uint8_t service, ByteView message,
                    Answer answer) override {
    if (edges_.find(peer) != nullptr) messages_.send(peer, service, message, answer);
  }
  void connect(const Member& peer, EdgeRole role) override { linker_.connect(peer, role); }
  void take_role(Edge& edge, EdgeRole role) override { roles_.take(edge, role); }
  void drop_role(Edge& edge, EdgeRole role) override { roles_.drop(edge, role); }
  void ask_nearest(const Address& target, EdgeRole role, const Address& first_hop,
                   bool only_strangers) override {
    introducer_.ask_nearest(target, role, first_hop, only_strangers);
  }
  Member own_member() override { return {self, whereabouts_.candidates()}; }
  Address own_via() const override;
  double size_estimate() const override { return ring_.size(); }
  NatMapping own_nat() const override { return whereabouts_.mapping(); }
  Duration flow_keepalive() const override { return flow_timeout_.keepalive(clock.now()); }
  bool pays(const Address& peer, const Endpoint& endpoint, std::size_t bytes) override;
  void lend(const Address& from, const Address& to, std::size_t bytes) override;

  // Sessions::Listener
  void on_open(Session& session) override;
  void on_closed(const Address& peer, const Path& path, CloseReason reason) override;
  void on_path_changed(Session& session) override;
  void on_routed(Session& session, ByteView packet) override;
  void on_control(Session& session, ByteView piece) override;
  void on_relay_doubted(const Address& relay) override { forwarder_.doubt(relay); }
  void on_frame(Session& session, ByteView frame, std::uint8_t facts) override;
  void on_reflexive(Session& session, const Endpoint& observed) override;
  void on_silence_ended(const Path& path, Duration silence) override;
  std::vector<Endpoint> referrals() override;
  void on_referred(const Path& path, const std::vector<Endpoint>& endpoints,
                   std::size_t bytes) override {
    if (stopped_) return;
    credit_.grant(Address(), NamedCredit::kFactor * bytes);
    join_.on_referred(path, endpoints);
  }
  void send_routed(const Address& peer, const Address& via, ByteView packet) override;
  bool may_dial(const Address& peer, const Path& path, std::size_t bytes) override;

 private:
  friend class Node;

  Forwarder::Handlers forwarder_handlers();
  Introducer::Handlers introducer_handlers();
  Linker::Handlers linker_handlers();
  Whereabouts::Handlers whereabouts_handlers();
  Merge::Handlers merge_handlers();
  Join::Handlers join_handlers();
  Relays::Handlers relays_handlers();
  NatAnswers::Handlers nat_handlers();
  std::optional<NatAnswers::Helper> nat_helper(const Endpoint& asker);

  void deliver(const Address& from, std::uint8_t service, ByteView message);
  void on_link(const Address& from, ByteView message);
  void on_circuit(const Address& from, const pb::Circuit& message);
  bool lacks_path(const Address& peer) const;
  std::vector<Member> known_around(const Address& peer) const;
  std::vector<Member> direct_peers() const;
  void on_introduced(const Ctm& ctm);
  bool has_no_common_udp(const Edge& edge);
  void hurry_relay(const Address& peer);
  void want_shortcut(const Address& peer, ByteView word);
  void on_broadcast(const Address& origin, std::uint8_t service, ByteView payload,
                    std::uint32_t hops);
  void on_roles_changed(Edge& edge);
  void note_usable(Edge& edge);
  void note_joined();
  void sweep();
  void count_bytes_of(const Address& peer);
  void observe(const Address& peer, Session* session);

  const NodeOptions options_;
  Sessions sessions_;
  EdgeTable edges_;
  NamedCredit credit_;
  RoleTalk roles_;
  Forwarder forwarder_;
  Introducer introducer_;
  Tracer tracer_;
  Linker linker_;
  Relays relays_;
  CircuitRequests circuit_requests_;
  Lists lists_;
  Ring ring_;
  FarEdges far_;
  Shortcuts shortcuts_;
  Messages messages_;
  SettingsSpread settings_;
  Whereabouts whereabouts_;
  FlowTimeout flow_timeout_;
  Broadcasts broadcasts_;
  Merge merge_;
  Join join_;
  Upgrades upgrades_;
  NatAnswers nat_answers_;
  Punch punch_;

  std::vector<std::function<void()>> later_;
  Timer later_timer_, sweep_timer_;
  std::map<std::uint8_t, MessageHandler> handlers_;
  std::map<std::uint8_t, BroadcastHandler> broadcast_handlers_;
  std::function<void(Session&, ByteView, std::uint8_t)> frame_handler_;
  std::function<void(const Address&, Session*)> session_observer_;
  std::function<void(const Address&, ByteView)> shortcut_observer_;
  std::function<void()> settings_observer_;
  std::function<void(const Endpoint&, ByteView)> send_from_other_port_;
  std::vector<std::function<void()>> joined_observers_;
  std::uint32_t link_number_ = 0;
  bool was_joined_ = false;
  bool stopped_ = true;
  bool says_farewell_ = false;  // through others, while it stops
  TimePoint joined_at_{};
};

}  // namespace wow
