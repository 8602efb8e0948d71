// What a crash leaves is tolerated; what a disk has spoilt is never taken for it.
#include "dht/asio/file_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace wow {
namespace {

class FileStoreTest : public testing::Test {
 protected:
  FileStoreTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    const auto store = *FileStore::open(path_);
    for (const char* key : {"a", "b", "c"}) {
      starts_.push_back(std::filesystem::file_size(path_));
      EXPECT_TRUE(store->write(key, view_of(std::string("promise"))));
    }
  }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Keys that are remembered by a store of these bytes.
  std::string kept(const std::string& bytes) {
    std::filesystem::remove(aside_);
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    const auto store = *FileStore::open(path_);
    std::map<std::string, Bytes> entries;
    store->load([&](auto& key, ByteView value) { entries[key] = to_bytes(value); });
    std::string out;
    for (const auto& [key, value] : entries) out += key;
    return out;
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / "wow_file_store_test";
  const std::filesystem::path path_ = folder_ / "dht", aside_ = folder_ / "dht.damaged";
  std::vector<std::size_t> starts_;  // of the frames
};

TEST_F(FileStoreTest, AnyByteThatChangesLosesTheWholeFileAndNoPromiseAlone) {
  const std::string good = bytes();
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      EXPECT_EQ(kept(bad), "") << "byte " << i;
      EXPECT_TRUE(std::filesystem::exists(aside_)) << "byte " << i;
    }
  }
}

TEST_F(FileStoreTest, ALastFrameThatACrashCutIsDropped) {
  const std::string good = bytes();
  for (std::size_t size = starts_[2]; size < good.size(); ++size) {
    EXPECT_EQ(kept(good.substr(0, size)), "ab") << size;
    EXPECT_FALSE(std::filesystem::exists(aside_)) << size;
  }
  EXPECT_EQ(kept(good), "abc");
}

TEST_F(FileStoreTest, ALastFrameWhoseBlocksWereNeverWrittenIsDropped) {
  std::string bad = bytes();
  std::fill(bad.begin() + static_cast<std::ptrdiff_t>(starts_[2]), bad.end(), '\0');
  EXPECT_EQ(kept(bad), "ab");
  EXPECT_FALSE(std::filesystem::exists(aside_));
}

TEST_F(FileStoreTest, AStoreThatStartedEmptyRemembersAgain) {
  std::string bad = bytes();
  bad[starts_[1]] = 1;
  ASSERT_EQ(kept(bad), "");
  ASSERT_TRUE((*FileStore::open(path_))->write("d", view_of(std::string("new"))));
  EXPECT_EQ(kept(bytes()), "d");
}

TEST_F(FileStoreTest, ALostFileIsNoReasonToForgetThatOthersTookPart) {
  EXPECT_FALSE((*FileStore::open(path_))->was_shared());
  (*FileStore::open(path_))->note_shared();
  std::filesystem::remove(path_);
  EXPECT_TRUE((*FileStore::open(path_))->was_shared());
  EXPECT_EQ(kept("damaged"), "");
  EXPECT_TRUE((*FileStore::open(path_))->was_shared());
}

}  // namespace
}  // namespace wow
