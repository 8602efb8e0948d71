// What changed about one key of the store between two looks at it: the lines of `wow dht watch`.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"

namespace wow {

class KeyWatch {
 public:
  using Time = std::chrono::system_clock::time_point;

  explicit KeyWatch(std::string key) : key_(std::move(key)) {}

  // The daemon's answer to "dht-read". Returns what to print, if anything: {"time", "key", "event",
  // ...}, where the event is
  //   "stored"       another owner or value than before; with the record
  //   "renewed"      the same with a later version; with the record
  //   "free"         nobody has the key: at the first look, removed, or expired
  //   "unavailable"  no majority answered; once until it is
  //   "available"    again, and nothing has changed meanwhile
  std::optional<boost::json::object> update(const Result<boost::json::object>& answer, Time now);

 private:
  enum class State { kUnknown, kFree, kHeld };

  boost::json::object event(const char* name, Time now) const;

  const std::string key_;
  State state_ = State::kUnknown;
  bool available_ = true;
  boost::json::object record_;
};

// "2026-01-31T09:05:07.042Z"
std::string utc_text(std::chrono::system_clock::time_point time);
// An event as a line for people, with the local time.
std::string watch_line(const boost::json::object& event, std::chrono::system_clock::time_point now);

}  // namespace wow
