#include "tools/cli/config.h"

#include <algorithm>
#include <sstream>

#include "base/asio/files.h"

namespace wow {
namespace {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

// What the file may say: all flags.
std::vector<std::string> keys_of(const CLI::App& command) {
  std::vector<std::string> out;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help") out.push_back(name);
    }
  }
  return out;
}

bool is_one_of(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Result<std::vector<CLI::ConfigItem>> items_of(const std::filesystem::path& path,
                                              const Bytes& file) {
  try {
    std::istringstream text(to_string(file));
    return CLI::ConfigTOML().from_config(text);
  } catch (const CLI::Error& error) {
    return Error{ErrorCode::kInvalidArgument, path.string() + " is not TOML: " + error.what()};
  }
}

// Adds what the file says to an option; throws CLI::Error if it cannot be that.
void add_values(CLI::Option& option, const CLI::ConfigItem& item) {
  const bool is_flag = option.get_expected_min() == 0;
  for (const std::string& value : item.inputs) {
    if (is_flag && value != "true" && value != "false")
      throw CLI::ConversionError("must be true or false, not " + value);
    if (!is_flag || value == "true") option.add_result(value);
  }
  if (option.count() > 0) option.run_callback();
}

}  // namespace

std::string nearest_word(const std::string& typed, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = typed.size() / 3 + 1;
  for (const std::string& word : words) {
    const std::size_t distance = edit_distance(typed, word);
    if (distance <= best_distance && (best.empty() || distance < edit_distance(typed, best)))
      best = word;
  }
  return best;
}

Result<void> apply_config(CLI::App& command, const std::filesystem::path& path,
                          const CLI::App* other) {
  const auto file = read_file(path);
  if (!file && file.error().code == ErrorCode::kNotFound) return {};
  if (!file) return file.error();
  const auto items = items_of(path, *file);
  if (!items) return items.error();
  const auto keys = keys_of(command);
  const auto others = other ? keys_of(*other) : std::vector<std::string>();
  for (const CLI::ConfigItem& item : *items) {
    const std::string key = item.fullname();
    if (!is_one_of(keys, key)) {
      if (is_one_of(others, key)) continue;
      const std::string meant = nearest_word(key, keys);
      return Error{ErrorCode::kInvalidArgument,
                   path.string() + ": \"" + key + "\" is no option" +
                       (meant.empty() ? ": `wow help " + command.get_name() + "` lists them"
                                      : "; did you mean \"" + meant + "\"?")};
    }
    CLI::Option* option = command.get_option("--" + key);
    if (option->count() > 0) continue;
    try {
      add_values(*option, item);
    } catch (const CLI::Error& error) {
      return Error{ErrorCode::kInvalidArgument, path.string() + ": " + key + ": " + error.what()};
    }
  }
  return {};
}

Result<std::string> config_word(const std::filesystem::path& path, const std::string& key) {
  const auto file = read_file(path);
  if (!file) return std::string();
  const auto items = items_of(path, *file);
  if (!items) return items.error();
  for (const CLI::ConfigItem& item : *items) {
    if (item.fullname() == key && item.inputs.size() == 1) return item.inputs.front();
  }
  return std::string();
}

}  // namespace wow
