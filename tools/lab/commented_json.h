// JSON as people write it: with comments of both kinds and commas too many.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace wow::lab {

// The text with spaces for its comments, so that all else stays in its line.
Result<std::string> without_comments(std::string_view text);
// The value, or a sentence that names the line where it is none.
Result<boost::json::value> parse_commented_json(std::string_view text);

}  // namespace wow::lab
