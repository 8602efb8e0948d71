// Who a certificate chain proves somebody to be, and what their invite lets them do.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endpoint.h"

namespace wow {

struct PeerIdentity {
  Address address;
  Bytes invite_id;  // 16 bytes
  bool may_bridge = false;
  std::vector<Prefix> routes;  // prefixes that it may announce
  std::vector<std::string> groups;
};

}  // namespace wow
