#include "base/asio/name_resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

namespace wow {

namespace asio = boost::asio;

namespace {
constexpr int kTimeoutMs = 1500;  // the first try's; c-ares waits longer each time
constexpr int kTries = 3;
}  // namespace

// One name, with a channel of its own, so that each query reads the name servers of the network
// that we are in now.
class NameResolver::Query : public std::enable_shared_from_this<NameResolver::Query> {
 public:
  Query(asio::any_io_executor executor, Done done)
      : executor_(std::move(executor)), timer_(executor_), done_(std::move(done)) {}
  ~Query() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  void start(const std::string& name, const std::string& servers) {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    ares_options options{};
    options.timeout = kTimeoutMs;
    options.tries = kTries;
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<Query*>(self)->watch(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int failed = library != 0 ? library : ares_init_options(&channel_, &options, mask);
    if (failed == 0 && !servers.empty())
      failed = ares_set_servers_ports_csv(channel_, servers.c_str());
    if (failed != 0) return finish(Error{ErrorCode::kIo, ares_strerror(failed)});
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_DGRAM;
    ares_getaddrinfo(
        channel_, name.c_str(), nullptr, &hints,
        [](void* self, int status, int, ares_addrinfo* result) {
          static_cast<Query*>(self)->on_result(status, result);
        },
        this);
    arm_timer();
  }

  // Nothing is called any more.
  void cancel() {
    done_ = nullptr;
    close();
  }

 private:
  struct Watched {
    explicit Watched(const asio::any_io_executor& executor, int fd) : descriptor(executor, fd) {}
    asio::posix::stream_descriptor descriptor;
    bool reading = false, writing = false;  // wanted
    bool read_waits = false, write_waits = false;
  };

  void watch(ares_socket_t fd, bool readable, bool writable) {
    if (!readable && !writable) {
      watched_.erase(fd);
      return;
    }
    auto& watched = watched_[fd];
    // A copy: c-ares closes its own.
    if (!watched) watched = std::make_shared<Watched>(executor_, dup(fd));
    watched->reading = readable;
    watched->writing = writable;
    wait(fd, watched);
  }

  void wait(ares_socket_t fd, const std::shared_ptr<Watched>& watched) {
    if (watched->reading && !std::exchange(watched->read_waits, true)) {
      watched->descriptor.async_wait(
          asio::posix::stream_descriptor::wait_read,
          [self = shared_from_this(), fd, watched](const boost::system::error_code& error) {
            watched->read_waits = false;
            if (!error) self->process(fd, ARES_SOCKET_BAD);
            if (!error) self->go_on(fd, watched);
          });
    }
    if (watched->writing && !std::exchange(watched->write_waits, true)) {
      watched->descriptor.async_wait(
          asio::posix::stream_descriptor::wait_write,
          [self = shared_from_this(), fd, watched](const boost::system::error_code& error) {
            watched->write_waits = false;
            if (!error) self->process(ARES_SOCKET_BAD, fd);
            if (!error) self->go_on(fd, watched);
          });
    }
  }

  void go_on(ares_socket_t fd, const std::shared_ptr<Watched>& watched) {
    const auto it = watched_.find(fd);
    if (it != watched_.end() && it->second == watched) wait(fd, watched);
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    if (closed_) return;
    ares_process_fd(channel_, readable, writable);
    if (!closed_) arm_timer();
  }

  void arm_timer() {
    if (closed_ || finished_) return;
    timeval longest{.tv_sec = 1, .tv_usec = 0}, next{};
    const timeval* wait_for = ares_timeout(channel_, &longest, &next);
    timer_.expires_after(std::chrono::seconds(wait_for->tv_sec) +
                         std::chrono::microseconds(wait_for->tv_usec));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    });
  }

  void on_result(int status, ares_addrinfo* result) {
    if (status == ARES_EDESTRUCTION) return;
    if (status != ARES_SUCCESS) return finish(Error{ErrorCode::kNotFound, ares_strerror(status)});
    std::vector<IpAddress> out;
    for (const auto* node = result->nodes; node != nullptr; node = node->ai_next) {
      IpAddress ip;
      if (node->ai_family == AF_INET) {
        ip = IpAddress::v4(
            ntohl(reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr.s_addr));
      } else if (node->ai_family == AF_INET6) {
        const auto& six = reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr;
        ip = IpAddress::v6({reinterpret_cast<const std::uint8_t*>(&six), 16});
      } else {
        continue;
      }
      if (out.size() < kAddressesMax && std::ranges::find(out, ip) == out.end()) out.push_back(ip);
    }
    ares_freeaddrinfo(result);
    if (out.empty()) return finish(Error{ErrorCode::kNotFound, "the name has no address"});
    finish(std::move(out));
  }

  // Later, for c-ares is still at work on the channel.
  void finish(Result<std::vector<IpAddress>> result) {
    finished_ = true;
    asio::post(executor_, [self = shared_from_this(), result = std::move(result)]() mutable {
      self->close();
      if (const auto done = std::exchange(self->done_, nullptr)) done(std::move(result));
    });
  }

  void close() {
    if (std::exchange(closed_, true)) return;
    timer_.cancel();
    if (channel_ != nullptr) ares_destroy(std::exchange(channel_, nullptr));
    watched_.clear();
  }

  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  Done done_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, std::shared_ptr<Watched>> watched_;
  bool finished_ = false, closed_ = false;
};

NameResolver::NameResolver(asio::any_io_executor executor, std::string servers)
    : executor_(std::move(executor)), servers_(std::move(servers)) {}

NameResolver::~NameResolver() {
  *alive_ = false;
  for (const auto& query : queries_) query->cancel();
}

void NameResolver::resolve(const std::string& name, Done done) {
  if (queries_.size() >= kQueriesMax) {
    asio::post(executor_, [done = std::move(done)] {
      done(Error{ErrorCode::kExhausted, "too many names are asked for at once"});
    });
    return;
  }
  auto place = std::make_shared<Query*>(nullptr);
  auto query = std::make_shared<Query>(
      executor_, [this, alive = alive_, place, done = std::move(done)](auto result) {
        if (!*alive) return;
        forget(*place);
        done(std::move(result));
      });
  *place = query.get();
  queries_.push_back(query);
  query->start(name, servers_);
}

asio::awaitable<std::vector<IpAddress>> NameResolver::addresses_of(const std::string& host) {
  if (const auto ip = IpAddress::parse(host)) co_return std::vector<IpAddress>{*ip};
  auto found = std::make_shared<std::vector<IpAddress>>();
  auto answered = std::make_shared<asio::steady_timer>(executor_);
  answered->expires_at(asio::steady_timer::time_point::max());
  resolve(host, [found, answered](Result<std::vector<IpAddress>> result) {
    if (result) *found = std::move(*result);
    answered->cancel();
  });
  co_await answered->async_wait(asio::as_tuple(asio::use_awaitable));
  co_return *found;
}

void NameResolver::forget(Query* query) {
  std::erase_if(queries_, [&](const auto& q) { return q.get() == query; });
}

}  // namespace wow
