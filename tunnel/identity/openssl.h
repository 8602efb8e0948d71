// Owners for OpenSSL's objects, and what to do when it fails at something that cannot fail.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdlib>
#include <memory>

namespace wow {

template <auto Free>
struct FreedBy {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, FreedBy<Free>>;

using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedCertificate = Owned<X509, X509_free>;

// For calls on our own data that fail only when memory is out or OpenSSL is broken: no caller could
// go on.
inline void must(bool ok) {
  if (!ok) std::abort();
}

}  // namespace wow
