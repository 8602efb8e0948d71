// Fields of the daemon's answers, as commands print them.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>
#include <string>
#include <string_view>

namespace wow {

// Empty, or 0, if there is no such field of that kind.
inline std::string text(const boost::json::object& row, const char* key) {
  const auto* value = row.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}
inline double number(const boost::json::object& row, std::string_view key) {
  const auto* value = row.if_contains(key);
  if (!value) return 0;
  return value->is_double()   ? value->get_double()
         : value->is_int64()  ? static_cast<double>(value->get_int64())
         : value->is_uint64() ? static_cast<double>(value->get_uint64())
                              : 0;
}
inline std::string whole_number(const boost::json::object& row, const char* key) {
  return std::to_string(static_cast<long long>(number(row, key)));
}

inline void print_json(const boost::json::object& answer) {
  std::cout << boost::json::serialize(answer) << std::endl;
}

}  // namespace wow
