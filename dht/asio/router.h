// A member of a pool inside your own program: the public library. A node with its UDP socket on
// your Asio executor, without a TAP. Everything happens on that executor, which must run on one
// thread or be a strand; messages are best effort.
//
//   boost::asio::io_context io;
//   wow::Router router(io.get_executor());
//   router.join({.directory = "/var/lib/wow/lab"}, [](wow::Result<void> joined) { ... });
//
// Each operation takes a completion token (a function, use_awaitable, use_future, ...) for a
// Result: a value, or an Error with one sentence. Nothing but this header is promised to stay as it
// is.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/error.h"
#include "dht/dht.h"
#include "overlay/node.h"

namespace wow {

struct RouterOptions {
  // Where `wow join` (or `wow join --directory`) put the membership; what must survive a restart is
  // kept there too.
  std::filesystem::path directory;
  // UDP port; empty: the one used before, or any.
  std::optional<std::uint16_t> listen = {};
  // Where to start, beside what the invite named.
  std::vector<Endpoint> bootstraps = {};
  // Reach other nodes on this very machine through 127.0.0.1.
  bool allow_loopback = false;
};

struct RouterStatus {
  Address address;
  bool joined = false;
  std::uint16_t port = 0;
  std::vector<EdgeInfo> edges;
  DhtStatus dht;
};

class Router {
 public:
  explicit Router(boost::asio::any_io_executor executor);
  ~Router();  // stops
  Router(const Router&) = delete;

  // Opens the socket and joins the ring. Completes when joined (or alone, as the first member);
  // fails at once when the directory holds no membership or the port is taken. It stops by itself
  // should the pool tell that another machine has this key and was there first. Token:
  // void(Result<void>).
  template <typename Token>
  auto join(RouterOptions options, Token&& token) {
    return operation<void>([this, options = std::move(options)](
                               Done<void> done) { start_join(options, std::move(done)); },
                           std::forward<Token>(token));
  }

  // The store (dht/dht.h says which errors). Keys: at most 255 bytes; values: at most 1 KiB. Token:
  // void(Result<DhtRecord>).
  template <typename Token>
  auto get(std::string key, Token&& token) {
    return operation<DhtRecord>(
        [this, key = std::move(key)](Done<DhtRecord> done) { start_get(key, std::move(done)); },
        std::forward<Token>(token));
  }
  // Fails with kAlreadyExists, naming the holder, if another member has the key.
  template <typename Token>
  auto create(std::string key, Bytes value, std::chrono::seconds ttl, Token&& token) {
    return write(&Dht::create, std::move(key), std::move(value), ttl, std::forward<Token>(token));
  }
  // As create, and replaces our own value.
  template <typename Token>
  auto put(std::string key, Bytes value, std::chrono::seconds ttl, Token&& token) {
    return write(&Dht::put, std::move(key), std::move(value), ttl, std::forward<Token>(token));
  }
  template <typename Token>
  auto renew(std::string key, std::chrono::seconds ttl, Token&& token) {
    return operation<DhtRecord>(
        [this, key = std::move(key), ttl](Done<DhtRecord> done) {
          start_renew(key, ttl, std::move(done));
        },
        std::forward<Token>(token));
  }
  template <typename Token>
  auto remove(std::string key, Token&& token) {
    return operation<DhtRecord>(
        [this, key = std::move(key)](Done<DhtRecord> done) { start_remove(key, std::move(done)); },
        std::forward<Token>(token));
  }

  // A datagram of at most 64 KiB to a member, for its `service` (16 to 255). Best effort; false if
  // too large or not joined.
  bool send(const Address& to, std::uint8_t service, ByteView message);
  // The same to whichever member is nearest to `target` on the ring.
  void send_nearest(const Address& target, std::uint8_t service, Bytes message);
  void on_message(std::uint8_t service,
                  std::function<void(const Address& from, ByteView message)> handler);

  RouterStatus status() const;
  // Leaves at once, telling the peers; may be called from a handler.
  void stop();

 private:
  template <typename T>
  using Done = std::function<void(Result<T>)>;
  using Write = void (Dht::*)(const std::string&, ByteView, Duration, Dht::Done);

  // Hands `begin` a copyable function that completes the token once, on its own executor.
  template <typename T, typename Begin, typename Token>
  auto operation(Begin begin, Token&& token) {
    return boost::asio::async_initiate<Token, void(Result<T>)>(
        [this](auto handler, Begin start) {
          const auto executor = boost::asio::get_associated_executor(handler, executor_);
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          start([shared, executor](Result<T> result) {
            boost::asio::dispatch(executor, [shared, result = std::move(result)]() mutable {
              std::move (*shared)(std::move(result));
            });
          });
        },
        token, std::move(begin));
  }
  template <typename Token>
  auto write(Write how, std::string key, Bytes value, std::chrono::seconds ttl, Token&& token) {
    return operation<DhtRecord>(
        [this, how, key = std::move(key), value = std::move(value), ttl](Done<DhtRecord> done) {
          start_write(how, key, value, ttl, std::move(done));
        },
        std::forward<Token>(token));
  }

  void start_join(const RouterOptions& options, Done<void> done);
  void start_get(const std::string& key, Done<DhtRecord> done);
  void start_write(Write how, const std::string& key, ByteView value, std::chrono::seconds ttl,
                   Done<DhtRecord> done);
  void start_renew(const std::string& key, std::chrono::seconds ttl, Done<DhtRecord> done);
  void start_remove(const std::string& key, Done<DhtRecord> done);

  boost::asio::any_io_executor executor_;
  std::unique_ptr<class NodeHost> host_;
};

}  // namespace wow
