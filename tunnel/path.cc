#include "tunnel/path.h"

namespace wow {

namespace {

std::string stream_text(const Endpoint& far) {
  const std::string end = Endpoint{far.ip, far.port}.text();
  if (far.carrier == Carrier::kAccepted) return "from " + end;
  return (far.carrier == Carrier::kTls ? "TLS " : "TCP ") + end;
}

}  // namespace

std::string Path::text() const {
  switch (kind) {
    case PathKind::kNone:
      break;
    case PathKind::kDirect:
      return endpoint.text();
    case PathKind::kStream:
      return "stream (" + stream_text(endpoint) + ")";
    case PathKind::kRelayed:
      return "relayed via " + via.short_hex();
    case PathKind::kRouted:
      return via.is_zero() ? "routed" : "routed via " + via.short_hex();
  }
  return "none";
}

}  // namespace wow
