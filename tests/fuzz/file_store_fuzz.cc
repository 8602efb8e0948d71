// The replica's file: whatever the disk returns, the store opens or starts empty, and what is
// written then is there after the next start.
#include <map>

#include "base/log.h"
#include "dht/asio/file_store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/temporary_file.h"

namespace wow {
namespace {

std::map<std::string, Bytes> entries_of(FileStore& store) {
  std::map<std::string, Bytes> out;
  store.load([&](const std::string& key, ByteView value) { out[key] = to_bytes(value); });
  return out;
}

void open_twice(ByteView content) {
  const TemporaryFile file(content);
  std::map<std::string, Bytes> before;
  {
    const auto store = FileStore::open(file.path());
    if (!store) return;
    before = entries_of(**store);
    if (!(*store)->write("key", view_of(std::string_view("value")))) return;
    before["key"] = to_bytes(view_of(std::string_view("value")));
  }
  const auto again = FileStore::open(file.path());
  assert(again);
  assert(entries_of(**again) == before);
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::set_log_sink([](auto, const auto&) {});
  wow::open_twice(wow::ByteView(data, size));
  return 0;
}
