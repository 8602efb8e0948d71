#include "tools/cli/key_watch.h"

#include <cstdio>
#include <ctime>

#include "tools/cli/fields.h"
#include "tools/cli/table.h"

namespace wow {

namespace json = boost::json;

namespace {

std::string formatted(const std::tm& parts, const char* format,
                      std::chrono::system_clock::time_point time) {
  char out[40];
  out[std::strftime(out, sizeof out, format, &parts)] = 0;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03d", static_cast<int>(ms.count() % 1000));
  return std::string(out) + fraction;
}

}  // namespace

json::object KeyWatch::event(const char* name, Time now) const {
  json::object out{{"time", utc_text(now)}, {"key", key_}, {"event", name}};
  if (state_ != State::kHeld) return out;
  for (const auto& field : record_) out.insert(field);
  return out;
}

std::optional<json::object> KeyWatch::update(const Result<json::object>& answer, Time now) {
  if (!answer) {
    if (!std::exchange(available_, false)) return std::nullopt;
    return json::object{{"time", utc_text(now)}, {"key", key_}, {"event", "unavailable"}};
  }
  const bool was_available = std::exchange(available_, true);
  const json::value& record = answer->at("record");
  const State before = std::exchange(state_, record.is_object() ? State::kHeld : State::kFree);
  if (state_ == State::kFree) {
    record_.clear();
    if (before != state_) return event("free", now);
  } else {
    const json::object old = std::exchange(record_, record.as_object());
    const auto differs = [&](const char* field) {
      return !old.contains(field) || old.at(field) != record_.at(field);
    };
    if (differs("owner") || differs("value") || differs("encoding")) return event("stored", now);
    if (differs("version")) return event("renewed", now);
  }
  return was_available ? std::nullopt : std::optional(event("available", now));
}

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return formatted(parts, "%Y-%m-%dT%H:%M:%S", time) + "Z";
}

std::string watch_line(const json::object& event, std::chrono::system_clock::time_point now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  std::string line = formatted(parts, "%F %T", now) + "  " + text(event, "event");
  if (!event.contains("owner")) return line;
  return line + " by " + text(event, "owner").substr(0, 8) + ", version " +
         whole_number(event, "version") + ", for " +
         human_duration(number(event, "ttl") - number(event, "age")) + ": " + text(event, "value");
}

}  // namespace wow
