// Bytes and text that are wiped when they are freed: keys, and files that hold keys. Everything
// that holds a private key or the pool key is one of these, or an OpenSSL object, which wipes
// itself.
#pragma once

#include <openssl/crypto.h>

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace wow {

template <typename T>
struct WipingAllocator {
  using value_type = T;

  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) {}
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, std::size_t n) {
    OPENSSL_cleanse(p, n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  bool operator==(const WipingAllocator&) const { return true; }
};

using Secret = std::vector<std::uint8_t, WipingAllocator<std::uint8_t>>;
// Converts to std::string_view. A text shorter than 16 characters lies inside the object and is not
// wiped.
using SecretText = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;

inline Secret to_secret(ByteView bytes) { return Secret(bytes.begin(), bytes.end()); }

}  // namespace wow
