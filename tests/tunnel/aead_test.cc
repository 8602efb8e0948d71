// Both libraries against published vectors and each other.
#include "tunnel/aead.h"

#include <gtest/gtest.h>

#include <random>

namespace wow {
namespace {

using Library = Aead::Library;
using Use = Aead::Use;

struct Sealed {
  Bytes text, tag;
  bool operator==(const Sealed&) const = default;
};

Sealed seal(Library library, ByteView key, const AeadNonce& nonce, ByteView additional,
            ByteView text) {
  Aead aead(CipherSuite::kAes256Gcm, key, Use::kSeal, library);
  Sealed out{Bytes(text.size()), Bytes(kAeadTagBytes)};
  aead.seal(nonce, additional, text, out.text.data(), out.tag.data());
  return out;
}

// The plain text; nothing if the tag does not hold, and then nothing may be left of it.
std::optional<Bytes> open(Library library, ByteView key, const AeadNonce& nonce,
                          ByteView additional, const Sealed& sealed) {
  Aead aead(CipherSuite::kAes256Gcm, key, Use::kOpen, library);
  Bytes out(sealed.text.size(), 0xee);
  if (aead.open(nonce, additional, sealed.text, out.data(), sealed.tag.data())) return out;
  EXPECT_EQ(out, Bytes(out.size())) << "not wiped";
  return std::nullopt;
}

Bytes hex(const char* text) { return *from_hex(text); }
AeadNonce nonce_of(const char* text) {
  AeadNonce out{};
  const Bytes bytes = hex(text);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

class AeadLibrary : public testing::TestWithParam<Library> {};
INSTANTIATE_TEST_SUITE_P(Both, AeadLibrary, testing::Values(Library::kFastest, Library::kOpenSsl));

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 14 and 16.
TEST_P(AeadLibrary, GivesThePublishedVectors) {
  const Sealed zeros =
      seal(GetParam(), Bytes(32), nonce_of("000000000000000000000000"), {}, Bytes(16));
  EXPECT_EQ(to_hex(zeros.text), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(to_hex(zeros.tag), "d0d1c8a799996bf0265b98b5d48ab919");
  const Bytes key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes text =
      hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const Bytes additional = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const AeadNonce nonce = nonce_of("cafebabefacedbaddecaf888");
  const Sealed sealed = seal(GetParam(), key, nonce, additional, text);
  EXPECT_EQ(to_hex(sealed.text),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
  EXPECT_EQ(to_hex(sealed.tag), "76fc6ece0f4e1768cddf8853bb2d551b");
  EXPECT_EQ(open(GetParam(), key, nonce, additional, sealed), text);
}

TEST_P(AeadLibrary, NoBitMayChangeAndNothingIsLeftOfAForgery) {
  const Bytes key(32, 7), additional(16, 3), text(70, 0x61);
  const AeadNonce nonce{1};
  const Sealed good = seal(GetParam(), key, nonce, additional, text);
  for (std::size_t i = 0; i < text.size() + kAeadTagBytes; ++i) {
    Sealed bad = good;
    (i < text.size() ? bad.text[i] : bad.tag[i - text.size()]) ^= 0x80;
    EXPECT_FALSE(open(GetParam(), key, nonce, additional, bad)) << i;
  }
  EXPECT_FALSE(open(GetParam(), key, AeadNonce{2}, additional, good));
  EXPECT_FALSE(open(GetParam(), key, nonce, Bytes(16, 4), good));
  EXPECT_EQ(open(GetParam(), key, nonce, additional, good), text);
}

// Every length up to some blocks, then lengths around a packet's; each opened by the other library.
TEST(Aead, BothLibrariesGiveTheSameBytes) {
  if (!VaesGcm::is_available()) GTEST_SKIP() << "this processor has no VAES: there is but OpenSSL";
  std::mt19937 random(1);
  const auto some = [&](std::size_t bytes) {
    Bytes out(bytes);
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random());
    return out;
  };
  for (std::size_t size = 1; size < 3000; size += size < 1100 ? 1 : 7) {
    const Bytes key = some(32), additional = some(16), text = some(size);
    AeadNonce nonce{};
    for (auto& byte : nonce) byte = static_cast<std::uint8_t>(random());
    const Sealed fast = seal(Library::kFastest, key, nonce, additional, text);
    ASSERT_EQ(fast, seal(Library::kOpenSsl, key, nonce, additional, text)) << size;
    ASSERT_EQ(open(Library::kFastest, key, nonce, additional, fast), text) << size;
    ASSERT_EQ(open(Library::kOpenSsl, key, nonce, additional, fast), text) << size;
  }
}

TEST_P(AeadLibrary, WorksInPlaceAndTakesAnotherKey) {
  const Bytes first(32, 1), second(32, 2), text(1400, 0x55);
  Aead sealer(CipherSuite::kAes256Gcm, first, Use::kSeal, GetParam());
  sealer.rekey(CipherSuite::kAes256Gcm, second, Use::kSeal);
  Sealed sealed{text, Bytes(kAeadTagBytes)};
  sealer.seal(AeadNonce{}, {}, sealed.text, sealed.tag.data());
  EXPECT_EQ(sealed, seal(GetParam(), second, AeadNonce{}, {}, text));
  Aead opener(CipherSuite::kAes256Gcm, first, Use::kOpen, GetParam());
  opener.rekey(CipherSuite::kAes256Gcm, second, Use::kOpen);
  EXPECT_TRUE(opener.open(AeadNonce{}, {}, sealed.text, sealed.tag.data()));
  EXPECT_EQ(sealed.text, text);
}

}  // namespace
}  // namespace wow
