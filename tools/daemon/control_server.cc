#include "tools/daemon/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>

namespace wow {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using Local = asio::local::stream_protocol;
using Stream = boost::beast::basic_stream<Local, asio::any_io_executor>;

namespace {

http::status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return http::status::not_found;
    case ErrorCode::kAlreadyExists:
      return http::status::conflict;
    case ErrorCode::kUnavailable:
      return http::status::service_unavailable;
    case ErrorCode::kPermission:
      return http::status::forbidden;
    default:
      return http::status::bad_request;
  }
}

}  // namespace

class ControlServer::Impl : public std::enable_shared_from_this<ControlServer::Impl> {
 public:
  struct Command {
    Access access;
    Handler handler;
  };

  Impl(asio::any_io_executor executor, std::filesystem::path path, int group)
      : path_(std::move(path)), acceptor_(executor), pause_(executor) {
    if (path_.string().size() >= sizeof(sockaddr_un::sun_path))
      throw std::runtime_error("the path of the control socket is too long: " + path_.string());
    unlink(path_.c_str());
    acceptor_.open(Local());
    const mode_t before = umask(0117);
    boost::system::error_code error;
    acceptor_.bind(Local::endpoint(path_.string()), error);
    umask(before);
    if (error)
      throw std::runtime_error("cannot make the control socket " + path_.string() + ": " +
                               error.message());
    if (group >= 0 &&
        lchown(path_.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
      throw std::runtime_error("cannot give " + path_.string() + " to its group");
    }
    acceptor_.listen();
  }
  void stop() {
    acceptor_.close();
    pause_.cancel();
    unlink(path_.c_str());
  }
  void accept();

  std::filesystem::path path_;
  Local::acceptor acceptor_;
  asio::steady_timer pause_;
  std::map<std::string, Command, std::less<>> commands_;
  std::size_t connections_ = 0;
};

namespace {

// One connection, one request: commands are rare.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Commands = std::map<std::string, ControlServer::Impl::Command, std::less<>>;

  Connection(Local::socket socket, std::shared_ptr<ControlServer::Impl> server)
      : stream_(std::move(socket)), server_(std::move(server)) {
    ++server_->connections_;
    parser_.body_limit(ControlServer::kRequestBytesMax);
  }
  ~Connection() { --server_->connections_; }

  void run() {
    stream_.expires_after(std::chrono::seconds(5));
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                       if (!error) self->dispatch();
                     });
  }

 private:
  void dispatch() {
    const auto& request = parser_.get();
    const auto found = server_->commands_.find(std::string_view(request.target()).substr(1));
    if (found == server_->commands_.end()) {
      return answer(Error{ErrorCode::kNotFound,
                          "this daemon knows no such command: is it older than the program?"});
    }
    if (found->second.access == ControlServer::Access::kChange && !may_change()) {
      return answer(Error{ErrorCode::kPermission,
                          "only root and the daemon's user may do this: try with sudo"});
    }
    boost::system::error_code error;
    const json::value body =
        request.body().empty() ? json::object() : json::parse(request.body(), error);
    if (error || !body.is_object())
      return answer(Error{ErrorCode::kInvalidArgument, "the request is not JSON"});
    stream_.expires_never();
    found->second.handler(body.get_object(),
                          [self = shared_from_this()](Result<json::object> result) {
                            if (!self->answered_) self->answer(std::move(result));
                          });
  }

  bool may_change() {
    ucred peer{};
    socklen_t length = sizeof peer;
    const int fd = stream_.socket().native_handle();
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
    return peer.uid == 0 || peer.uid == geteuid();
  }

  void answer(Result<json::object> result) {
    answered_ = true;
    response_.version(11);
    response_.set(http::field::content_type, "application/json");
    response_.keep_alive(false);
    if (result) {
      response_.body() = json::serialize(*result);
    } else {
      response_.result(status_of(result.error().code));
      response_.body() = json::serialize(json::object{{"error", result.error().message}});
    }
    response_.prepare_payload();
    stream_.expires_after(std::chrono::seconds(5));
    http::async_write(stream_, response_,
                      [self = shared_from_this()](boost::system::error_code, std::size_t) {
                        boost::system::error_code ignored;
                        self->stream_.socket().shutdown(Local::socket::shutdown_both, ignored);
                      });
  }

  Stream stream_;
  std::shared_ptr<ControlServer::Impl> server_;
  boost::beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> response_;
  bool answered_ = false;
};

}  // namespace

void ControlServer::Impl::accept() {
  acceptor_.async_accept(
      [self = shared_from_this()](boost::system::error_code error, Local::socket socket) {
        if (error == asio::error::operation_aborted || !self->acceptor_.is_open()) return;
        if (!error && self->connections_ < kConnectionsMax) {
          std::make_shared<Connection>(std::move(socket), self)->run();
        }
        if (!error) return self->accept();
        // Out of descriptors, say: to ask again at once would be asking in a circle.
        self->pause_.expires_after(std::chrono::milliseconds(100));
        self->pause_.async_wait([self](boost::system::error_code stopped) {
          if (!stopped) self->accept();
        });
      });
}

ControlServer::ControlServer(asio::any_io_executor executor, const std::filesystem::path& path,
                             int group)
    : impl_(std::make_shared<Impl>(std::move(executor), path, group)) {}
ControlServer::~ControlServer() { impl_->stop(); }
void ControlServer::handle(std::string name, Access access, Handler handler) {
  impl_->commands_.insert_or_assign(std::move(name), Impl::Command{access, std::move(handler)});
}
void ControlServer::start() { impl_->accept(); }

}  // namespace wow
