#include "base/asio/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace wow {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    umask(022);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static mode_t mode_of(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 07777;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "wow-files";
  const fs::path file_ = folder_ / "state";
};

TEST_F(Files, WhatIsWrittenIsRead) {
  Bytes bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  ASSERT_TRUE(write_file(file_, bytes));
  EXPECT_EQ(read_file(file_).value(), bytes);
  EXPECT_EQ(files(), 1u);
}

TEST_F(Files, AnEmptyFileIsAFile) {
  ASSERT_TRUE(write_file(file_, {}));
  EXPECT_TRUE(read_file(file_).value().empty());
}

TEST_F(Files, ModesAreAsGivenWhateverTheUmaskAndTheOldMode) {
  umask(077);
  ASSERT_TRUE(write_file(file_, view_of("open"), 0644));
  EXPECT_EQ(mode_of(file_), 0644u);
  umask(0);
  ASSERT_TRUE(write_file(file_, view_of("secret")));
  EXPECT_EQ(mode_of(file_), 0600u);
}

TEST_F(Files, AReaderKeepsTheOldFileWhileItIsReplaced) {
  ASSERT_TRUE(write_file(file_, view_of("old")));
  std::FILE* reader = std::fopen(file_.c_str(), "r");
  ASSERT_TRUE(write_file(file_, view_of("new")));
  char text[4] = {};
  ASSERT_EQ(std::fread(text, 1, 3, reader), 3u);
  std::fclose(reader);
  EXPECT_STREQ(text, "old");
  EXPECT_EQ(to_string(read_file(file_).value()), "new");
}

TEST_F(Files, ALinkBesideIsNotFollowed) {
  const fs::path target = folder_ / "precious";
  ASSERT_TRUE(write_file(target, view_of("precious")));
  fs::create_symlink(target, file_.string() + ".new");
  ASSERT_TRUE(write_file(file_, view_of("state")));
  EXPECT_EQ(to_string(read_file(target).value()), "precious");
}

TEST_F(Files, WhatCannotBeReplacedLeavesNothingBeside) {
  fs::create_directories(file_ / "not empty");
  EXPECT_FALSE(write_file(file_, view_of("state")));
  EXPECT_EQ(files(), 1u);
}

TEST_F(Files, ErrorsNameTheFileAndItsKind) {
  const auto missing = read_file(file_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find(file_.string()), std::string::npos);

  ASSERT_TRUE(write_file(file_, Bytes(11)));
  EXPECT_TRUE(read_file(file_, 11));
  const auto large = read_file(file_, 10);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kExhausted);

  const auto nowhere = write_file(folder_ / "no" / "where", view_of("x"));
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace wow
