#include "tunnel/path.h"

namespace wow {

std::string Path::text() const {
  switch (kind) {
    case PathKind::kNone:
      break;
    case PathKind::kDirect:
      return endpoint.text();
    case PathKind::kRelayed:
      return "relayed via " + via.short_hex();
    case PathKind::kRouted:
      return via.is_zero() ? "routed" : "routed via " + via.short_hex();
  }
  return "none";
}

}  // namespace wow
