#include "tests/proto/golden.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace wow {

std::map<std::string, Bytes> read_golden(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::map<std::string, Bytes> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto space = line.find(' ');
    std::string digits = line.substr(space + 1);
    std::erase(digits, ' ');
    const auto bytes = from_hex(digits);
    if (!bytes || !out.emplace(line.substr(0, space), *bytes).second) {
      throw std::runtime_error("bad line in " + path + ": " + line);
    }
  }
  return out;
}

}  // namespace wow
