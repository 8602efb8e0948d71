// Asks a running daemon over its control socket. Blocking; for commands.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace wow {

// kNotFound with a sentence on how to start the daemon if none listens at `socket`.
Result<boost::json::object> ask_daemon(const std::filesystem::path& socket, const std::string& pool,
                                       const std::string& command,
                                       const boost::json::object& arguments = {},
                                       std::chrono::seconds limit = std::chrono::seconds(15));

// Whether a daemon listens there.
bool daemon_listens(const std::filesystem::path& socket);

// Asks it to end, and waits (5 s at most) until its socket is gone: `wow up` may follow at once.
Result<void> stop_daemon(const std::filesystem::path& socket, const std::string& pool);

}  // namespace wow
