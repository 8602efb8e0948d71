// A run of keys and what is held of them in short, so that two replicas find out that they hold the
// same without sending it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dht/register.h"

namespace wow::dht {

using Registers = std::map<std::string, Register>;

struct KeyRange {
  static constexpr std::size_t kKeys = 16;        // their records fit one page, mostly
  static constexpr std::size_t kAtOnceMax = 256;  // that one message names
  static constexpr std::size_t kDigestBytes = 16;

  std::string until;  // the last key
  std::string digest;
};

// Of what is accepted under keys after `after_key`, in order.
std::vector<KeyRange> ranges_after(const Registers& registers, const std::string& after_key);
// SHA-256, cut, over what is accepted under keys after `after_key` up to `until`; nothing
// if that is more than twice what a range holds.
std::optional<std::string> digest_of(const Registers& registers, const std::string& after_key,
                                     const std::string& until);

}  // namespace wow::dht
