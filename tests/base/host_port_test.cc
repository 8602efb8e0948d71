#include "base/host_port.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

TEST(HostPort, IsAnAddressOrAName) {
  for (const char* text : {"198.51.100.7:443", "[2001:db8::7]:443", "pool.example:4433", "a:1"}) {
    const auto at = HostPort::parse(text);
    ASSERT_TRUE(at) << text;
    EXPECT_EQ(at->text(), text);
  }
  EXPECT_EQ(HostPort::parse("[2001:db8::7]:443")->host, "2001:db8::7");
  EXPECT_EQ(HostPort::parse("pool.example:65535")->port, 65535);
}

TEST(HostPort, NeedsBoth) {
  for (const char* text :
       {"", ":", "pool.example", "pool.example:", ":443", "pool.example:0", "pool.example:65536",
        "pool.example:x", "pool.example:1 ", "a:-1", "2001:db8::7:443", "[2001:db8::7]"})
    EXPECT_FALSE(HostPort::parse(text)) << text;
}

}  // namespace
}  // namespace wow
