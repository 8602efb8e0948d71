#include "base/asio/stream_transport.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>

#include "base/asio/asio_clock.h"
#include "base/asio/stream.h"
#include "base/asio/stream_dialler.h"
#include "base/asio/tls_channel.h"
#include "base/log.h"
#include "base/stream_framer.h"

namespace wow {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kWriteBytes = 64 * 1024;  // packets that leave in one write
constexpr auto kSweepEvery = std::chrono::seconds(1);
constexpr auto kAcceptAgain = std::chrono::milliseconds(100);  // no descriptor was left
constexpr int kBacklog = 128;
constexpr gid_t kAnyGroup = static_cast<gid_t>(-1);
constexpr std::size_t kSourceBytesV6 = 8;

Endpoint accepted_from(const tcp::endpoint& e) {
  if (e.address().is_v4())
    return {IpAddress::v4(e.address().to_v4().to_uint()), e.port(), Carrier::kAccepted};
  const auto bytes = e.address().to_v6().to_bytes();
  return {IpAddress::v6(bytes), e.port(), Carrier::kAccepted};
}

// Whom a stranger's streams are counted for.
IpAddress source_of(const Endpoint& e) {
  if (e.ip.is_v4()) return e.ip;
  std::array<std::uint8_t, 16> network{};
  std::copy_n(e.ip.bytes().begin(), kSourceBytesV6, network.begin());
  return IpAddress::v6(network);
}

using StreamPtr = std::shared_ptr<Stream>;

}  // namespace

class StreamTransport::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, StreamOptions options, MetricSlot& metrics)
      : executor_(executor),
        options_(std::move(options)),
        metrics_(metrics),
        tls_(options_.target),
        dialler_(executor, options_.proxy),
        sweep_(executor) {}

  Result<void> listen(Carrier carrier, std::uint16_t port);
  std::optional<std::uint16_t> port(Carrier carrier) const;
  void set_name(const IpAddress& ip, const std::string& name);
  void give_to(unsigned uid);
  void start(Handlers handlers);
  void stop();
  void send(const Datagram& packets);
  void redial_all();
  std::string name_of(const IpAddress& ip) const;  // empty: none is known
  std::string via(const Endpoint& far) const;
  std::size_t size() const { return streams_.size(); }

 private:
  struct Listener {
    explicit Listener(const asio::any_io_executor& executor)
        : acceptor(executor), pause(executor) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
    Carrier carrier = Carrier::kTcp;
  };
  struct Failure {
    TimePoint not_before{};
    Duration wait{};
  };

  StreamPtr dial(const Endpoint& far);
  asio::awaitable<void> run_dialled(std::shared_ptr<Impl> self, StreamPtr stream);
  asio::awaitable<void> accept_all(std::shared_ptr<Impl> self, std::shared_ptr<Listener> listener);
  void take(tcp::socket socket, const tcp::endpoint& from, Carrier carrier);
  bool make_room(const Endpoint& from);
  asio::awaitable<void> run_accepted(std::shared_ptr<Impl> self, StreamPtr stream, Carrier carrier);
  asio::awaitable<void> read_all(StreamPtr stream);
  asio::awaitable<void> write_all(std::shared_ptr<Impl> self, StreamPtr stream);
  void enqueue(Stream& stream, const Datagram& packets);
  void note_failure(const Endpoint& far);
  void end(const StreamPtr& stream);
  void sweep();
  void wait_for_sweep();

  asio::any_io_executor executor_;
  const StreamOptions options_;
  MetricSlot& metrics_;
  TlsChannels tls_;
  StreamDialler dialler_;
  Handlers handlers_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::unordered_map<Endpoint, StreamPtr, EndpointHash> streams_;
  std::map<Endpoint, Failure> failures_;
  std::map<IpAddress, std::string> names_;
  asio::steady_timer sweep_;
  bool running_ = false;
};

Result<void> StreamTransport::Impl::listen(Carrier carrier, std::uint16_t port) {
  auto listener = std::make_shared<Listener>(executor_);
  listener->carrier = carrier;
  boost::system::error_code error;
  tcp::acceptor& acceptor = listener->acceptor;
  acceptor.open(tcp::v6(), error);
  const bool v6 = !error;
  if (v6) {
    acceptor.set_option(asio::ip::v6_only(false), error);
  } else {
    acceptor.open(tcp::v4(), error);
  }
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind({v6 ? tcp::v6() : tcp::v4(), port}, error);
  if (!error) acceptor.listen(kBacklog, error);
  // Only now: another daemon must not get the port, our own streams may.
  boost::system::error_code ignored;
  if (!error) acceptor.set_option(ReusePort(true), ignored);
  if (!error && carrier == Carrier::kTcp) dialler_.leave_from(acceptor.local_endpoint().port());
  if (error) {
    const std::string which = "TCP port " + std::to_string(port);
    if (error == asio::error::address_in_use)
      return Error{ErrorCode::kAlreadyExists, which + " is in use: choose another one"};
    if (error == asio::error::access_denied)
      return Error{ErrorCode::kPermission, which + " needs root: use sudo, or a port above 1023"};
    return Error{ErrorCode::kIo, "cannot listen on " + which + ": " + error.message()};
  }
  listeners_.push_back(std::move(listener));
  return {};
}

std::optional<std::uint16_t> StreamTransport::Impl::port(Carrier carrier) const {
  for (const auto& listener : listeners_) {
    boost::system::error_code error;
    const auto local = listener->acceptor.local_endpoint(error);
    if (listener->carrier == carrier && !error) return local.port();
  }
  return std::nullopt;
}

void StreamTransport::Impl::set_name(const IpAddress& ip, const std::string& name) {
  if (names_.size() >= options_.limits.names_max && !names_.contains(ip)) names_.clear();
  names_[ip] = name;
}

void StreamTransport::Impl::give_to(unsigned uid) {
  for (const auto& listener : listeners_) {
    if (fchown(listener->acceptor.native_handle(), uid, kAnyGroup) != 0)
      log_debug("a listener stays with its owner", {{"why", std::strerror(errno)}});
  }
}

void StreamTransport::Impl::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  running_ = true;
  for (const auto& listener : listeners_)
    asio::co_spawn(executor_, accept_all(shared_from_this(), listener), asio::detached);
  wait_for_sweep();
}

void StreamTransport::Impl::stop() {
  running_ = false;
  sweep_.cancel();
  for (const auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  }
  for (const auto& [far, stream] : std::exchange(streams_, {})) stream->close();
}

std::string StreamTransport::Impl::name_of(const IpAddress& ip) const {
  const auto found = names_.find(ip);
  return found == names_.end() ? "" : found->second;
}

std::string StreamTransport::Impl::via(const Endpoint& far) const {
  const Proxy* proxy = dialler_.proxy_for(far);
  if (proxy == nullptr) return "";
  const std::string name = name_of(far.ip);
  return (name.empty() ? "" : "as " + name + " ") + "through proxy " + proxy->text();
}

void StreamTransport::Impl::send(const Datagram& packets) {
  const std::size_t bytes = packets.head.size() + packets.body.size();
  const std::size_t each = packets.segment_bytes == 0 ? bytes : packets.segment_bytes;
  const auto found = streams_.find(packets.to);
  StreamPtr stream = found == streams_.end() ? nullptr : found->second;
  if (stream == nullptr && packets.to.can_be_dialled()) stream = dial(packets.to);
  if (stream == nullptr || bytes == 0 || each > kStreamPacketBytesMax)
    return metrics_.add(Metric::kDropStream);
  enqueue(*stream, packets);
}

void StreamTransport::Impl::enqueue(Stream& stream, const Datagram& packets) {
  // What was sent makes room once it is as much as what waits.
  if (stream.queue_begin > stream.queued_bytes()) {
    stream.queue.erase(stream.queue.begin(),
                       stream.queue.begin() + static_cast<std::ptrdiff_t>(stream.queue_begin));
    stream.queue_begin = 0;
  }
  ByteView left = packets.body;
  do {
    const ByteView one =
        packets.segment_bytes == 0
            ? left
            : left.first(std::min<std::size_t>(left.size(), packets.segment_bytes));
    frame_packet(stream.queue, packets.head, one);
    ++stream.queued_packets;
    left = left.subspan(one.size());
  } while (!left.empty());
  while (stream.queued_packets > options_.limits.queue_packets_max ||
         stream.queued_bytes() > options_.limits.queue_bytes_max) {
    std::size_t packet = 0;
    stream.take(stream.whole_packets(0, &packet), 1);
    metrics_.add(Metric::kDropStream);
  }
  stream.used = AsioClock::boot_now();
  stream.wake.cancel();
}

StreamPtr StreamTransport::Impl::dial(const Endpoint& far) {
  const auto failed = failures_.find(far);
  if (failed != failures_.end() && failed->second.not_before > AsioClock::boot_now())
    return nullptr;
  const auto dialling = std::ranges::count_if(streams_, [](const auto& s) {
    return s.second->channel == nullptr && s.first.can_be_dialled();
  });
  if (!running_ || streams_.size() >= options_.limits.streams_max ||
      dialling >= static_cast<std::ptrdiff_t>(options_.limits.dialling_max))
    return nullptr;
  auto stream = std::make_shared<Stream>(executor_, far);
  streams_.emplace(far, stream);
  metrics_.add(Metric::kStreamsDialled);
  asio::co_spawn(executor_, run_dialled(shared_from_this(), stream), asio::detached);
  return stream;
}

asio::awaitable<void> StreamTransport::Impl::run_dialled(std::shared_ptr<Impl> self,
                                                         StreamPtr stream) {
  const Endpoint far = stream->far;
  std::string why;
  // Not inside co_await: GCC 12 would destroy what is made there twice.
  const std::string name = name_of(far.ip);
  const bool passed = co_await dialler_.connect(*stream, name, why);
  if (passed && far.carrier == Carrier::kTls) {
    stream->channel = co_await tls_.connect(stream->socket, far, name);
    why = "no WebSocket of this pool's there";
  } else if (passed) {
    stream->channel = make_tcp_channel(stream->socket);
  }
  if (stream->channel == nullptr || stream->closed) {
    if (!stream->closed || AsioClock::boot_now() - stream->begun >= options_.limits.dial_limit)
      note_failure(far);
    log_debug("no stream", {{"to", far.text()}, {"why", why}, {"via", via(far)}});
    end(stream);
    co_return;
  }
  failures_.erase(far);
  log_debug("stream open", {{"to", far.text()}, {"via", via(far)}});
  asio::co_spawn(executor_, write_all(self, stream), asio::detached);
  co_await read_all(stream);
  end(stream);
}

void StreamTransport::Impl::note_failure(const Endpoint& far) {
  if (dialler_.proxy_for(far) != nullptr) metrics_.add(Metric::kProxyFailed);
  if (!failures_.contains(far) && failures_.size() >= options_.limits.redials_max)
    failures_.erase(failures_.begin());
  Failure& failure = failures_[far];
  failure.wait = failure.wait == Duration()
                     ? options_.limits.redial_first
                     : std::min(failure.wait * 2, options_.limits.redial_max);
  failure.not_before = AsioClock::boot_now() + failure.wait;
}

asio::awaitable<void> StreamTransport::Impl::accept_all(std::shared_ptr<Impl>,
                                                        std::shared_ptr<Listener> listener) {
  while (running_) {
    tcp::endpoint from;
    auto [error, socket] = co_await listener->acceptor.async_accept(from, kQuietly);
    if (!listener->acceptor.is_open()) co_return;
    if (!error) {
      take(std::move(socket), from, listener->carrier);
      continue;
    }
    listener->pause.expires_after(kAcceptAgain);
    co_await listener->pause.async_wait(kQuietly);
  }
}

void StreamTransport::Impl::take(tcp::socket socket, const tcp::endpoint& from, Carrier carrier) {
  Endpoint far = accepted_from(from);
  if (from.address().is_v6() && from.address().to_v6().is_v4_mapped())
    far.ip = *IpAddress::from_bytes(ByteView(from.address().to_v6().to_bytes()).last(4));
  if (streams_.contains(far) || !make_room(far)) return metrics_.add(Metric::kStreamsRefused);
  auto stream = std::make_shared<Stream>(executor_, far);
  stream->socket = std::move(socket);
  tune(stream->socket);
  streams_.emplace(far, stream);
  metrics_.add(Metric::kStreamsAccepted);
  asio::co_spawn(executor_, run_accepted(shared_from_this(), stream, carrier), asio::detached);
}

// One source has only so many, and of all that have proven nothing the oldest goes first: thousands
// of half-open streams cost their sender more than us, and keep nobody out.
bool StreamTransport::Impl::make_room(const Endpoint& from) {
  const IpAddress source = source_of(from);
  std::size_t unproven = 0, of_source = 0;
  StreamPtr oldest, oldest_of_source;
  const auto keep_older = [](StreamPtr& known, const StreamPtr& stream) {
    if (known == nullptr || stream->begun < known->begun) known = stream;
  };
  for (const auto& [far, stream] : streams_) {
    if (far.carrier != Carrier::kAccepted || stream->proven) continue;
    ++unproven;
    keep_older(oldest, stream);
    if (source_of(far) != source) continue;
    ++of_source;
    keep_older(oldest_of_source, stream);
  }
  // Not the newcomer: behind one proxy or carrier's NAT there are many, and only one may be
  // hostile.
  if (of_source >= options_.limits.unproven_per_source) {
    metrics_.add(Metric::kStreamsRefused);
    end(oldest_of_source);
  } else if (unproven >= options_.limits.unproven_max) {
    metrics_.add(Metric::kStreamsRefused);
    end(oldest);
  }
  return streams_.size() < options_.limits.streams_max;
}

asio::awaitable<void> StreamTransport::Impl::run_accepted(std::shared_ptr<Impl> self,
                                                          StreamPtr stream, Carrier carrier) {
  if (carrier == Carrier::kTls) {
    stream->channel = co_await tls_.accept(stream->socket);
  } else {
    stream->channel = make_tcp_channel(stream->socket);
  }
  if (stream->channel != nullptr && !stream->closed) {
    asio::co_spawn(executor_, write_all(self, stream), asio::detached);
    co_await read_all(stream);
  }
  end(stream);
}

asio::awaitable<void> StreamTransport::Impl::read_all(StreamPtr stream) {
  Bytes room(kReadBytes);
  StreamFramer framer;
  bool valid = true;
  while (valid && !stream->closed) {
    const std::size_t bytes = co_await stream->channel->read(room);
    if (bytes == 0 || stream->closed) break;
    stream->used = AsioClock::boot_now();
    metrics_.add(Metric::kStreamBytesIn, bytes);
    valid = framer.take(ByteView(room).first(bytes), [&](MutableBytes packet) {
      if (running_ && !stream->closed) handlers_.packet(packet, stream->far);
    });
    if (!valid) metrics_.add(Metric::kDropGarbage);
  }
}

asio::awaitable<void> StreamTransport::Impl::write_all(std::shared_ptr<Impl>, StreamPtr stream) {
  Bytes batch;
  while (!stream->closed) {
    if (stream->queued_packets == 0) {
      co_await stream->wake.async_wait(kQuietly);
      continue;
    }
    std::size_t packets = 0;
    const std::size_t bytes = stream->whole_packets(kWriteBytes, &packets);
    const auto from = stream->queue.begin() + static_cast<std::ptrdiff_t>(stream->queue_begin);
    batch.assign(from, from + static_cast<std::ptrdiff_t>(bytes));
    stream->take(bytes, packets);
    const bool written = co_await stream->channel->write(batch);
    if (!written) break;
    metrics_.add(Metric::kStreamBytesOut, batch.size());
  }
  // Its reader ends it, too.
  stream->close();
}

void StreamTransport::Impl::end(const StreamPtr& stream) {
  stream->close();
  const auto found = streams_.find(stream->far);
  if (found == streams_.end() || found->second != stream) return;
  const Endpoint far = stream->far;
  streams_.erase(found);
  if (running_) handlers_.closed(far);
}

void StreamTransport::Impl::redial_all() {
  std::vector<StreamPtr> dialled;
  for (const auto& [far, stream] : streams_) {
    if (far.can_be_dialled()) dialled.push_back(stream);
  }
  failures_.clear();
  for (const StreamPtr& stream : dialled) end(stream);
}

void StreamTransport::Impl::wait_for_sweep() {
  sweep_.expires_after(kSweepEvery);
  sweep_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || !self->running_) return;
    self->sweep();
    if (self->running_) self->wait_for_sweep();
  });
}

void StreamTransport::Impl::sweep() {
  if (streams_.empty()) return;
  const TimePoint now = AsioClock::boot_now();
  const StreamLimits& limits = options_.limits;
  std::optional<std::unordered_set<Endpoint, EndpointHash>> proven;
  std::vector<StreamPtr> over;
  for (const auto& [far, stream] : streams_) {
    const Duration age = now - stream->begun;
    if (!stream->proven && age >= limits.prove_limit) {
      if (!proven) proven = handlers_.proven();
      stream->proven = proven->contains(far);
      if (stream->proven) continue;
      if (far.can_be_dialled()) note_failure(far);
      over.push_back(stream);
    } else if (stream->channel == nullptr && far.can_be_dialled() && age >= limits.dial_limit) {
      over.push_back(stream);
    } else if (now - stream->used >= limits.idle_limit) {
      over.push_back(stream);
    }
  }
  for (const StreamPtr& stream : over) end(stream);
}

StreamTransport::StreamTransport(asio::any_io_executor executor, StreamOptions options,
                                 MetricSlot& metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), metrics)) {}
StreamTransport::~StreamTransport() { impl_->stop(); }

Result<void> StreamTransport::listen(Carrier carrier, std::uint16_t port) {
  return impl_->listen(carrier, port);
}
std::optional<std::uint16_t> StreamTransport::port(Carrier carrier) const {
  return impl_->port(carrier);
}
void StreamTransport::set_name(const IpAddress& ip, const std::string& name) {
  impl_->set_name(ip, name);
}
void StreamTransport::give_to(unsigned uid) { impl_->give_to(uid); }
void StreamTransport::start(Handlers handlers) { impl_->start(std::move(handlers)); }
void StreamTransport::stop() { impl_->stop(); }
void StreamTransport::send(const Datagram& packets) { impl_->send(packets); }
void StreamTransport::redial_all() { impl_->redial_all(); }
std::string StreamTransport::via(const Endpoint& far) const { return impl_->via(far); }
std::size_t StreamTransport::size() const { return impl_->size(); }

}  // namespace wow
