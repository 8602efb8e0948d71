#include "base/asio/tls_channel.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

namespace wow {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;

namespace {

constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kRequestBytesMax = 8 * 1024;
constexpr std::size_t kMessageBytesMax = 128 * 1024;
constexpr unsigned char kAlpn[] = "\x08http/1.1";
constexpr std::size_t kAlpnBytes = sizeof kAlpn - 1;
constexpr std::uint16_t kHttpsPort = 443;
constexpr long kCertificateSeconds = 365L * 24 * 3600;

using Stream = websocket::stream<ssl::stream<tcp::socket&>>;

class WebSocketChannel final : public ByteChannel {
 public:
  WebSocketChannel(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {
    stream_->binary(true);
    stream_->auto_fragment(false);
    stream_->read_message_max(kMessageBytesMax);
  }

  asio::awaitable<std::size_t> read(MutableBytes room) override {
    const auto [error, bytes] =
        co_await stream_->async_read_some(asio::buffer(room.data(), room.size()), kQuietly);
    // An empty message is no end, but nobody of us sends one.
    co_return error ? 0 : bytes;
  }
  asio::awaitable<bool> write(ByteView bytes) override {
    tcp::socket& socket = stream_->next_layer().next_layer();
    const auto [unready] = co_await socket.async_wait(tcp::socket::wait_write, kQuietly);
    if (unready) co_return false;
    const auto [error, written] =
        co_await stream_->async_write(asio::buffer(bytes.data(), bytes.size()), kQuietly);
    co_return !error;
  }

 private:
  std::unique_ptr<Stream> stream_;
};

// A certificate that says nothing, for a key that lives as long as the process.
void be_anybody(SSL_CTX* context) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kCertificateSeconds);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kAlpn, kAlpnBytes, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

asio::awaitable<void> say_not_found(ssl::stream<tcp::socket&>& tls, unsigned version) {
  http::response<http::string_body> answer(http::status::not_found, version);
  answer.set(http::field::content_type, "text/html");
  answer.body() =
      "<html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>\n";
  answer.keep_alive(false);
  answer.prepare_payload();
  const auto [error, written] = co_await http::async_write(tls, answer, kQuietly);
  if (!error) co_await tls.async_shutdown(kQuietly);
}

}  // namespace

struct TlsChannels::Contexts {
  ssl::context client{ssl::context::tls_client}, server{ssl::context::tls_server};
};

TlsChannels::TlsChannels(std::string target)
    : target_(std::move(target)), contexts_(std::make_unique<Contexts>()) {
  SSL_CTX* const client = contexts_->client.native_handle();
  SSL_CTX* const server = contexts_->server.native_handle();
  for (SSL_CTX* const context : {client, server}) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // An idle stream keeps no buffers.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  }
  contexts_->client.set_verify_mode(ssl::verify_none);
  SSL_CTX_set_alpn_protos(client, kAlpn, kAlpnBytes);
  SSL_CTX_set_alpn_select_cb(server, choose_alpn, nullptr);
  SSL_CTX_set_num_tickets(server, 0);
  be_anybody(server);
}

TlsChannels::~TlsChannels() = default;

asio::awaitable<std::unique_ptr<ByteChannel>> TlsChannels::connect(tcp::socket& socket, Endpoint to,
                                                                   std::string name) {
  auto stream = std::make_unique<Stream>(socket, contexts_->client);
  if (!name.empty()) SSL_set_tlsext_host_name(stream->next_layer().native_handle(), name.c_str());
  const auto [failed] =
      co_await stream->next_layer().async_handshake(ssl::stream_base::client, kQuietly);
  if (failed) co_return nullptr;
  to.carrier = Carrier::kUdp;
  const std::string port = to.port == kHttpsPort ? "" : ":" + std::to_string(to.port);
  const std::string host = name.empty() ? to.text() : name + port;
  const auto [refused] = co_await stream->async_handshake(host, target_, kQuietly);
  if (refused) co_return nullptr;
  co_return std::make_unique<WebSocketChannel>(std::move(stream));
}

asio::awaitable<std::unique_ptr<ByteChannel>> TlsChannels::accept(tcp::socket& socket) {
  auto stream = std::make_unique<Stream>(socket, contexts_->server);
  ssl::stream<tcp::socket&>& tls = stream->next_layer();
  const auto [failed] = co_await tls.async_handshake(ssl::stream_base::server, kQuietly);
  if (failed) co_return nullptr;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kRequestBytesMax);
  parser.skip(true);  // whatever body a stranger brings
  beast::flat_buffer buffer(kRequestBytesMax);
  const auto [garbled, read] = co_await http::async_read_header(tls, buffer, parser, kQuietly);
  if (garbled) co_return nullptr;
  const auto& request = parser.get();
  if (!websocket::is_upgrade(request) || request.target() != target_) {
    co_await say_not_found(tls, request.version());
    co_return nullptr;
  }
  const auto [broken] = co_await stream->async_accept(request, kQuietly);
  if (broken) co_return nullptr;
  co_return std::make_unique<WebSocketChannel>(std::move(stream));
}

}  // namespace wow
