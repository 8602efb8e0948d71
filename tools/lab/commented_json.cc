#include "tools/lab/commented_json.h"

#include <algorithm>
#include <boost/json/parser.hpp>

namespace wow::lab {

namespace json = boost::json;

namespace {

Error wrong(const std::string& what) { return Error{ErrorCode::kInvalidArgument, what}; }

std::string line_at(std::string_view text, std::size_t at) {
  return "line " +
         std::to_string(
             1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

}  // namespace

// Boost 1.81 would take comments, too, but crashes on some that are broken (tests/fuzz).
Result<std::string> without_comments(std::string_view text) {
  std::string out(text);
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i)
      if (out[i] != '\n') out[i] = ' ';
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
    } else if (text.substr(at, 2) == "//") {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      blank(at, end);
      at = end;
    } else if (text.substr(at, 2) == "/*") {
      const std::size_t end = text.find("*/", at + 2);
      if (end == std::string_view::npos)
        return wrong(line_at(text, at) + ": this comment has no end: it needs a */");
      blank(at, end + 2);
      at = end + 1;
    }
  }
  return out;
}

Result<json::value> parse_commented_json(std::string_view given) {
  const auto text = without_comments(given);
  if (!text) return text.error();
  json::parse_options options;
  options.allow_trailing_commas = true;
  options.max_depth = 8;
  json::parser parser({}, options);
  boost::system::error_code error;
  const std::size_t read = parser.write_some(text->data(), text->size(), error);
  if (!error && text->find_first_not_of(" \t\r\n", read) != std::string::npos)
    error = json::error::extra_data;
  if (!error) return parser.release();
  return wrong(line_at(given, read) + ": this is not JSON (" + error.message() +
               "): look for a missing comma, quote or bracket there or just before");
}

}  // namespace wow::lab
