// The fixed headers: what parses is written back as the same bytes.
#include <algorithm>

#include "nat/nat_question.h"
#include "nat/pcp.h"
#include "proto/headers.h"
#include "tests/fuzz/fuzz.h"

namespace wow {
namespace {

template <typename Header>
void fixed(ByteView bytes) {
  const auto header = Header::parse(bytes);
  if (!header) return;
  Bytes again(Header::kBytes);
  header->write(again.data());
  const auto second = Header::parse(again);
  Bytes third(Header::kBytes);
  if (second) second->write(third.data());
  assert(second ? third == again : bytes.size() > Header::kBytes);
}

template <typename Message>
void whole(ByteView bytes) {
  const auto message = Message::parse(bytes);
  if (!message) return;
  const auto again = message->write();
  assert(Message::parse(again));
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const wow::ByteView bytes(data, size);
  wow::fixed<wow::DataHeader>(bytes);
  wow::fixed<wow::RelayHeader>(bytes);
  wow::fixed<wow::RoutedHeader>(bytes);
  wow::fixed<wow::MessageHeader>(bytes);
  wow::whole<wow::HandshakeBody>(bytes);
  wow::whole<wow::UnknownIndex>(bytes);
  wow::whole<wow::PathMessage>(bytes);
  wow::whole<wow::NatQuestion>(bytes);
  wow::whole<wow::NatAnswer>(bytes);
  wow::whole<wow::NatErrand>(bytes);
  (void)wow::PcpMapResponse::parse(bytes);
  return 0;
}
