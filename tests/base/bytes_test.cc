#include "base/bytes.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

TEST(Hex, GoesThereAndBack) {
  const Bytes bytes = {0x00, 0x7f, 0x80, 0xff};
  EXPECT_EQ(to_hex(bytes), "007f80ff");
  EXPECT_EQ(from_hex("007F80fF"), bytes);
  EXPECT_EQ(from_hex(""), Bytes());
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0x"));
  EXPECT_FALSE(from_hex("0 "));
}

TEST(Bytes, TextAndPartsAreViews) {
  EXPECT_EQ(concat({view_of("ab"), {}, view_of("c")}), to_bytes("abc"));
  EXPECT_EQ(to_string(view_of("abc")), "abc");
}

TEST(Writer, WritesWhatReaderReads) {
  const Bytes out = Writer()
                        .u8(1)
                        .u16(0x0203)
                        .u32(0x04050607)
                        .u48(0x08090a0b0c0d)
                        .u64(0x0e0f101112131415)
                        .bytes(view_of("x"))
                        .take();
  EXPECT_EQ(to_hex(out), "0102030405060708090a0b0c0d0e0f10111213141578");
  Reader in(out);
  EXPECT_EQ(in.u8(), 1u);
  EXPECT_EQ(in.u16(), 0x0203u);
  EXPECT_EQ(in.u32(), 0x04050607u);
  EXPECT_EQ(in.u48(), 0x08090a0b0c0du);
  EXPECT_EQ(in.u64(), 0x0e0f101112131415u);
  EXPECT_EQ(in.remaining(), 1u);
  EXPECT_EQ(to_string(in.rest()), "x");
  EXPECT_TRUE(in.ok());
}

TEST(Reader, OneReadTooFarSpoilsAllThatFollow) {
  const Bytes bytes = {1, 2, 3};
  Reader in(bytes);
  EXPECT_EQ(in.u8(), 1u);
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0u);  // though a byte would be left
  EXPECT_TRUE(in.take(0).empty());
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(Reader(bytes).take(SIZE_MAX).size(), 0u);
}

TEST(BigEndian, NarrowWidthsKeepTheLowBytes) {
  std::uint8_t at[8] = {};
  put_big_endian(at, 0x1122334455667788, 6);
  EXPECT_EQ(get_big_endian(at, 6), 0x334455667788u);
  EXPECT_EQ(at[6], 0);
}

}  // namespace
}  // namespace wow
