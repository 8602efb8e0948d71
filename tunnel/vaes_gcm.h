// AES-256-GCM by libipsec-mb on processors with VAES and VPCLMULQDQ on 512 bits: several times
// OpenSSL 3.0's speed on packets. One key; any number of threads may use it at once.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

struct gcm_key_data;

namespace wow {

class VaesGcm {
 public:
  static constexpr std::size_t kTagBytes = 16, kNonceBytes = 12;

  // Whether this processor has what it takes.
  static bool is_available();

  explicit VaesGcm(ByteView key);  // 32 bytes
  ~VaesGcm();
  VaesGcm(const VaesGcm&) = delete;
  void rekey(ByteView key);

  // `out`: text.size() bytes, the text's own place or apart from it; `tag`: 16 bytes.
  void seal(const std::uint8_t* nonce, ByteView additional, ByteView text, std::uint8_t* out,
            std::uint8_t* tag) const;
  // False if the tag does not hold: `out` is wiped then.
  bool open(const std::uint8_t* nonce, ByteView additional, ByteView text, std::uint8_t* out,
            const std::uint8_t* tag) const;

 private:
  struct Free {
    void operator()(gcm_key_data* key) const;
  };
  std::unique_ptr<gcm_key_data, Free> key_;
};

}  // namespace wow
