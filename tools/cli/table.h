// Aligned columns for people; colour only where the output is a terminal and NO_COLOR is not set.
#pragma once

#include <string>
#include <vector>

namespace wow {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Columns separated by two spaces, the headings bold on a terminal.
  std::string text(bool colour) const;
  std::size_t size() const { return rows_.size() - 1; }

 private:
  std::vector<std::vector<std::string>> rows_;
};

bool colour_wanted();
std::string bold(const std::string& text);

// "3 d 4 h", "12 min", "4.1 s", "350 ms"; "1.2 MB".
std::string human_duration(double seconds);
std::string human_bytes(double bytes);

}  // namespace wow
