// The control socket: HTTP with JSON bodies on a Unix socket (mode 0660). The group may read; what
// changes something is for root and the daemon's own user (SO_PEERCRED). On the daemon's executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/json/object.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"

namespace wow {

class ControlServer {
 public:
  using Reply = std::function<void(Result<boost::json::object>)>;
  // A command and its arguments; the reply may come later.
  using Handler = std::function<void(const boost::json::object& arguments, Reply reply)>;
  enum class Access { kRead, kChange };

  static constexpr std::size_t kConnectionsMax = 32;
  static constexpr std::size_t kRequestBytesMax = 256 * 1024;

  // Makes the socket (replacing a stale one). `group`: who may connect besides the owner; -1:
  // unchanged.
  ControlServer(boost::asio::any_io_executor executor, const std::filesystem::path& path,
                int group);
  ~ControlServer();  // removes the socket

  // POST /NAME answers with what `handler` replies.
  void handle(std::string name, Access access, Handler handler);
  void start();

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace wow
