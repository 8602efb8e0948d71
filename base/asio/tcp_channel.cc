#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>

#include "base/asio/byte_channel.h"

namespace wow {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr int kUnsentBytesMax = 16 * 1024;
constexpr std::chrono::milliseconds kUnacknowledgedMax{10'000};

class TcpChannel final : public ByteChannel {
 public:
  explicit TcpChannel(tcp::socket& socket) : socket_(socket) {}

  asio::awaitable<std::size_t> read(MutableBytes room) override {
    const auto [error, bytes] =
        co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), kQuietly);
    co_return error ? 0 : bytes;
  }
  asio::awaitable<bool> write(ByteView bytes) override {
    const auto [unready] = co_await socket_.async_wait(tcp::socket::wait_write, kQuietly);
    if (unready) co_return false;
    const auto [error, written] =
        co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), kQuietly);
    co_return !error;
  }

 private:
  tcp::socket& socket_;
};

}  // namespace

std::unique_ptr<ByteChannel> make_tcp_channel(tcp::socket& socket) {
  return std::make_unique<TcpChannel>(socket);
}

// Each is a wish: what the kernel does not know is done without.
void tune(tcp::socket& socket) {
  using UnsentBytes = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;
  using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(UnsentBytes(kUnsentBytesMax), ignored);
  socket.set_option(UserTimeout(static_cast<int>(kUnacknowledgedMax.count())), ignored);
}

}  // namespace wow
