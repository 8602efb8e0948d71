#include "tools/lab/json_fields.h"

#include <algorithm>

#include "tools/cli/config.h"

namespace wow::lab {

namespace json = boost::json;

std::vector<std::string> Fields::path_of(const std::string& key) const {
  auto out = path_;
  out.push_back(key);
  return out;
}

void Fields::fail(const std::string& key, const std::string& what) const {
  throw FieldError(path_of(key), what);
}

const json::value* Fields::get(const std::string& key) {
  known_.push_back(key);
  return object_.if_contains(key);
}

std::optional<std::string> Fields::text(const std::string& key) {
  const json::value* value = get(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) fail(key, "must be a text in quotes");
  return std::string(value->get_string());
}

std::optional<bool> Fields::flag(const std::string& key) {
  const json::value* value = get(key);
  if (!value) return std::nullopt;
  if (!value->is_bool()) fail(key, "must be true or false");
  return value->get_bool();
}

std::optional<double> Fields::number(const std::string& key, double min, double max) {
  const json::value* value = get(key);
  if (!value) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<double>(error);
  if (error || !(number >= min && number <= max)) {
    char text[80];
    std::snprintf(text, sizeof text, "must be a number from %g to %g", min, max);
    fail(key, text);
  }
  return number;
}

const json::object* Fields::object(const std::string& key) {
  const json::value* value = get(key);
  if (value && !value->is_object()) fail(key, "must be an object in braces");
  return value ? &value->get_object() : nullptr;
}

const json::array* Fields::array(const std::string& key) {
  const json::value* value = get(key);
  if (value && !value->is_array()) fail(key, "must be a list in brackets");
  return value ? &value->get_array() : nullptr;
}

void Fields::finish() const {
  for (const auto& member : object_) {
    const std::string key(member.key());
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string meant = nearest_word(key, known_);
    std::string all;
    for (const std::string& known : known_) all += (all.empty() ? "" : ", ") + known;
    fail(key, meant.empty() ? "is not known here: there are " + all
                            : "is not known here; did you mean \"" + meant + "\"?");
  }
}

std::size_t line_of(std::string_view text, const std::vector<std::string>& path) {
  std::size_t at = 0;
  for (const std::string& key : path) {
    const std::string quoted = "\"" + key + "\"";
    for (;; ++at) {
      at = text.find(quoted, at);
      if (at == std::string_view::npos) return 0;
      const std::size_t next = text.find_first_not_of(" \t\r\n", at + quoted.size());
      if (next != std::string_view::npos && text[next] == ':') break;
    }
    at += quoted.size();
  }
  return 1 + static_cast<std::size_t>(
                 std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

}  // namespace wow::lab
