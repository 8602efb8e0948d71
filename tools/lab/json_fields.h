// The fields of one JSON object, each asked for once; what was never asked for is a mistake of
// whoever wrote the file.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace wow::lab {

// Which thing is wrong, and one clause with what would be right.
class FieldError : public std::runtime_error {
 public:
  FieldError(std::vector<std::string> path, const std::string& what)
      : std::runtime_error(what), path_(std::move(path)) {}
  const std::vector<std::string>& path() const { return path_; }

 private:
  std::vector<std::string> path_;
};

class Fields {
 public:
  // `path`: the keys that lead here from the top of the file.
  Fields(const boost::json::object& object, std::vector<std::string> path)
      : object_(object), path_(std::move(path)) {}

  const boost::json::value* get(const std::string& key);  // nullptr: not there
  std::optional<std::string> text(const std::string& key);
  std::optional<bool> flag(const std::string& key);
  std::optional<double> number(const std::string& key, double min, double max);
  const boost::json::object* object(const std::string& key);
  const boost::json::array* array(const std::string& key);
  // Throws if there is a key that nobody asked for.
  void finish() const;

  std::vector<std::string> path_of(const std::string& key) const;
  [[noreturn]] void fail(const std::string& key, const std::string& what) const;

 private:
  const boost::json::object& object_;
  std::vector<std::string> path_;
  std::vector<std::string> known_;
};

// The line, from 1 on, where the last key of a path is; 0 if it is not found. For messages: it
// looks for the keys in quotes, one after the other.
std::size_t line_of(std::string_view text, const std::vector<std::string>& path);

}  // namespace wow::lab
