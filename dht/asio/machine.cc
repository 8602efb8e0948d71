#include "dht/asio/machine.h"

#include <openssl/evp.h>

#include <array>
#include <map>
#include <sstream>

#include "base/asio/files.h"

namespace wow {
namespace {

// Only a hash leaves /etc: machine-id(5) asks not to spread the id itself.
std::string hash_of(ByteView value) {
  std::array<std::uint8_t, 32> digest;
  const Bytes input = concat({view_of("wow machine 1"), value});
  if (!EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha256(), nullptr)) {
    return {};
  }
  return to_hex(ByteView(digest).first(16));
}

std::map<std::string, std::string> parse(const std::string& marks) {
  std::map<std::string, std::string> out;
  std::istringstream in(marks);
  for (std::string name, value; in >> name >> value;) out[name] = value;
  return out;
}

}  // namespace

std::string machine_marks() {
  constexpr std::array<std::pair<const char*, const char*>, 2> kMarks = {
      {{"machine-id", "/etc/machine-id"}, {"dmi-uuid", "/sys/class/dmi/id/product_uuid"}}};
  std::string out;
  for (const auto& [name, path] : kMarks) {
    const auto file = read_file(path, 4096);
    if (file && file->size() > 1) out += std::string(name) + " " + hash_of(*file) + "\n";
  }
  return out;
}

bool same_machine(const std::string& before, const std::string& now) {
  const auto then = parse(before);
  for (const auto& [name, value] : parse(now)) {
    const auto found = then.find(name);
    if (found != then.end() && found->second != value) return false;
  }
  return true;
}

Result<void> remember_machine(const std::filesystem::path& directory) {
  return write_file(directory / kMachineFile, view_of(machine_marks()));
}

Result<void> remember_copied(const std::filesystem::path& directory) {
  return write_file(directory / kCopiedFile, {});
}

bool pool_called_it_copied(const std::filesystem::path& directory) {
  std::error_code error;
  return std::filesystem::exists(directory / kCopiedFile, error);
}

bool is_copied(const std::filesystem::path& directory) {
  if (pool_called_it_copied(directory)) return true;
  const auto marks = read_file(directory / kMachineFile, 4096);
  return marks && !same_machine(to_string(*marks), machine_marks());
}

}  // namespace wow
