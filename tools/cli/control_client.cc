#include "tools/cli/control_client.h"

#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <thread>

namespace wow {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using Local = asio::local::stream_protocol;

namespace {

// Connects; a path longer than any socket's is one where nobody listens.
boost::system::error_code connect(Local::socket& socket, const std::filesystem::path& path) {
  boost::system::error_code error = asio::error::connection_refused;
  if (path.string().size() < sizeof(sockaddr_un::sun_path))
    socket.connect(Local::endpoint(path.string()), error);
  return error;
}

Error not_running(const std::string& pool) {
  return Error{ErrorCode::kNotFound, "no daemon runs for pool " + pool +
                                         ": start it with `wow up " + pool +
                                         "` or, as a router, `wow router " + pool + "`"};
}

Result<json::object> parse_answer(const http::response<http::string_body>& response) {
  boost::system::error_code error;
  const json::value body = json::parse(response.body(), error);
  if (error || !body.is_object()) return Error{ErrorCode::kIo, "the daemon's answer is not JSON"};
  if (response.result() == http::status::ok) return body.get_object();
  const json::value* message = body.get_object().if_contains("error");
  const ErrorCode code =
      response.result() == http::status::not_found             ? ErrorCode::kNotFound
      : response.result() == http::status::conflict            ? ErrorCode::kAlreadyExists
      : response.result() == http::status::service_unavailable ? ErrorCode::kUnavailable
      : response.result() == http::status::forbidden           ? ErrorCode::kPermission
                                                               : ErrorCode::kInvalidArgument;
  return Error{code, message && message->is_string() ? std::string(message->get_string())
                                                     : "the daemon refused"};
}

}  // namespace

Result<json::object> ask_daemon(const std::filesystem::path& path, const std::string& pool,
                                const std::string& command, const json::object& arguments,
                                std::chrono::seconds limit) {
  asio::io_context io;
  boost::beast::basic_stream<Local> stream(io);
  boost::system::error_code error = connect(stream.socket(), path);
  if (error == boost::system::errc::permission_denied) {
    return Error{ErrorCode::kPermission, "not permitted to talk to the daemon of pool " + pool +
                                             ": use sudo, or join the group wow"};
  }
  if (error) return not_running(pool);

  http::request<http::string_body> request(http::verb::post, "/" + command, 11);
  request.set(http::field::host, "wow");
  request.body() = json::serialize(arguments);
  request.prepare_payload();
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  stream.expires_after(limit);
  http::async_write(stream, request, [&](boost::system::error_code failed, std::size_t) {
    error = failed;
    if (failed) return;
    http::async_read(stream, buffer, response,
                     [&](boost::system::error_code e, std::size_t) { error = e; });
  });
  io.run();
  if (error == boost::beast::error::timeout) {
    return Error{ErrorCode::kUnavailable, "the daemon of pool " + pool + " did not answer in time"};
  }
  if (error) return Error{ErrorCode::kIo, "the daemon of pool " + pool + " hung up: see its log"};
  return parse_answer(response);
}

bool daemon_listens(const std::filesystem::path& path) {
  asio::io_context io;
  Local::socket socket(io);
  const auto error = connect(socket, path);
  return !error || error == boost::system::errc::permission_denied;
}

Result<void> stop_daemon(const std::filesystem::path& path, const std::string& pool) {
  if (auto answer = ask_daemon(path, pool, "down"); !answer) return answer.error();
  // The answer comes before the end.
  for (int i = 0; i < 100 && daemon_listens(path); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return {};
}

}  // namespace wow
