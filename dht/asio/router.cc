#include "dht/asio/router.h"

#include <boost/asio/post.hpp>

#include "dht/asio/node_host.h"

namespace wow {
namespace {
Error not_joined() {
  return Error{ErrorCode::kUnavailable, "the router has not joined a pool: call join() first"};
}
}  // namespace

Router::Router(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
Router::~Router() { stop(); }

void Router::start_join(const RouterOptions& options, Done<void> done) {
  if (host_) return done(Error{ErrorCode::kAlreadyExists, "this router has joined already"});
  NodeHostOptions host_options;
  host_options.directory = options.directory;
  host_options.listen = options.listen;
  for (const Endpoint& e : options.bootstraps) host_options.bootstraps.push_back(e.text());
  host_options.allow_loopback = options.allow_loopback;
  auto opened = NodeHost::open(executor_, host_options);
  if (!opened) return done(opened.error());
  host_ = std::move(*opened);
  host_->node().on_joined([done, told = false]() mutable {
    if (!std::exchange(told, true)) done({});
  });
  host_->set_copy_observer([this] { stop(); });
  host_->start();
}

void Router::start_get(const std::string& key, Done<DhtRecord> done) {
  if (!host_) return done(not_joined());
  host_->dht().get(key, std::move(done));
}

void Router::start_write(Write how, const std::string& key, ByteView value,
                         std::chrono::seconds ttl, Done<DhtRecord> done) {
  if (!host_) return done(not_joined());
  (host_->dht().*how)(key, value, ttl, std::move(done));
}

void Router::start_renew(const std::string& key, std::chrono::seconds ttl, Done<DhtRecord> done) {
  if (!host_) return done(not_joined());
  host_->dht().renew(key, ttl, std::move(done));
}

void Router::start_remove(const std::string& key, Done<DhtRecord> done) {
  if (!host_) return done(not_joined());
  host_->dht().remove(key, std::move(done));
}

bool Router::send(const Address& to, std::uint8_t service, ByteView message) {
  if (!host_ || service < static_cast<std::uint8_t>(Service::kUserFirst)) return false;
  return host_->node().send(to, static_cast<Service>(service), message);
}

void Router::send_nearest(const Address& target, std::uint8_t service, Bytes message) {
  if (!host_) return;
  host_->node().locate(
      target, [this, service, message = std::move(message)](std::optional<Address> nearest) {
        if (nearest) send(*nearest, service, message);
      });
}

void Router::on_message(std::uint8_t service,
                        std::function<void(const Address&, ByteView)> handler) {
  if (service < static_cast<std::uint8_t>(Service::kUserFirst)) return;
  if (host_) host_->node().set_handler(static_cast<Service>(service), std::move(handler));
}

RouterStatus Router::status() const {
  if (!host_) return {};
  return {host_->node().address(), host_->node().joined(), host_->port(), host_->node().edges(),
          host_->dht().status()};
}

void Router::stop() {
  if (!host_) return;
  host_->stop();
  // We may be inside one of the host's own calls: it ends on the executor's next turn.
  boost::asio::post(executor_, [host = std::shared_ptr<NodeHost>(std::move(host_))] {});
}

}  // namespace wow
