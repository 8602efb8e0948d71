// The bytes of PCP's MAP (RFC 6887, 11.1).
#include "nat/pcp.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

PcpMapRequest request() {
  PcpMapRequest out;
  out.client = *IpAddress::parse("192.168.1.10");
  for (std::size_t i = 0; i < out.nonce.size(); ++i)
    out.nonce[i] = static_cast<std::uint8_t>(i + 1);
  out.inside_port = 4433;
  out.suggested = {IpAddress::v4(0), 4433};
  out.lifetime = std::chrono::seconds(3600);
  return out;
}

// As a router answers it.
Bytes answer() {
  Bytes out = request().write();
  out[1] = 0x81;
  out[7] = 120;  // lifetime
  out[6] = 0;
  const IpAddress outside = *IpAddress::parse("198.51.100.21");
  std::ranges::copy(outside.mapped(), out.begin() + 44);
  return out;
}

TEST(Pcp, ARequestIsWrittenAsTheRfcDrawsIt) {
  EXPECT_EQ(to_hex(request().write()),
            "0201000000000e1000000000000000000000ffffc0a8010a"
            "0102030405060708090a0b0c"
            "11000000"
            "11511151"
            "00000000000000000000ffff00000000");
}

TEST(Pcp, AnAnswerIsRead) {
  const auto response = PcpMapResponse::parse(answer());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->result, PcpMapResponse::kSuccess);
  EXPECT_EQ(response->nonce, request().nonce);
  EXPECT_EQ(response->inside_port, 4433);
  EXPECT_EQ(response->lifetime, std::chrono::seconds(120));
  EXPECT_EQ(response->outside.text(), "198.51.100.21:4433");
}

TEST(Pcp, WhatIsNoAnswerToThisIsNothing) {
  EXPECT_FALSE(PcpMapResponse::parse(request().write())) << "a request";
  for (const auto& [at, value] : {std::pair(0, 1), std::pair(1, 0x82), std::pair(36, 6)}) {
    Bytes wrong = answer();
    wrong[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(value);
    EXPECT_FALSE(PcpMapResponse::parse(wrong)) << at;
  }
  const Bytes whole = answer();
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_FALSE(PcpMapResponse::parse(ByteView(whole).first(n)));
  EXPECT_FALSE(PcpMapResponse::parse(Bytes(PcpMapResponse::kBytesMax + 1)));
}

}  // namespace
}  // namespace wow
