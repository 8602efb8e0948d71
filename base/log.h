// One line for each thing that happened: level, event, key=value. Never per packet above debug.
// log_info("edge lost", {{"peer", peer.short_hex()}, {"after", "4.9 s"}}); may be called from any
// thread.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace wow {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}

  std::string_view key;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

void log_line(LogLevel level, std::string_view event, LogFields fields);
bool log_enabled(LogLevel level);
void set_log_level(LogLevel level);
// Where lines go: standard error (the default) or a function, for tests and the simulator. An empty
// function restores it.
void set_log_sink(std::function<void(LogLevel, const std::string&)> sink);

inline void log_debug(std::string_view event, LogFields fields = {}) {
  if (log_enabled(LogLevel::kDebug)) log_line(LogLevel::kDebug, event, fields);
}
inline void log_info(std::string_view event, LogFields fields = {}) {
  log_line(LogLevel::kInfo, event, fields);
}
inline void log_warn(std::string_view event, LogFields fields = {}) {
  log_line(LogLevel::kWarn, event, fields);
}
inline void log_error(std::string_view event, LogFields fields = {}) {
  log_line(LogLevel::kError, event, fields);
}

}  // namespace wow
