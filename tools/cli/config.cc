#include "tools/cli/config.h"

#include <algorithm>
#include <fstream>

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

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> out;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help" && name != "config") out.push_back(name);
    }
  }
  return out;
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

Result<void> apply_config(CLI::App& command, const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) return {};
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(in);
  } catch (const CLI::Error& error) {
    return Error{ErrorCode::kInvalidArgument, path.string() + " is not TOML: " + error.what()};
  }
  const auto flags = flags_of(command);
  for (const CLI::ConfigItem& item : items) {
    const std::string key = item.fullname();
    if (std::find(flags.begin(), flags.end(), key) == flags.end()) {
      const std::string meant = nearest_word(key, flags);
      return Error{ErrorCode::kInvalidArgument,
                   path.string() + ": \"" + key + "\" is no option" +
                       (meant.empty() ? ": `wow help " + command.get_name() + "` lists them"
                                      : "; did you mean \"" + meant + "\"?")};
    }
    CLI::Option* option = command.get_option("--" + key);
    if (option->count() > 0) continue;
    try {
      // A flag's "true" counts once and its "false" not at all.
      if (option->get_expected_min() == 0) {
        if (item.inputs == std::vector<std::string>{"true"}) option->add_result("true");
      } else {
        for (const std::string& value : item.inputs) option->add_result(value);
      }
      if (option->count() > 0) option->run_callback();
    } catch (const CLI::Error& error) {
      return Error{ErrorCode::kInvalidArgument, path.string() + ": " + key + ": " + error.what()};
    }
  }
  return {};
}

}  // namespace wow
