// Members, lists of them and Connect-To-Me. A CTM's signature is made right first, or nothing
// behind it would be reached.
#include "overlay/ctm.h"
#include "overlay/lan_beacon.h"
#include "overlay/limits.h"
#include "overlay/node.h"
#include "proto/overlay.pb.h"
#include "tests/fuzz/fuzz.h"
#include "tools/sim/fake_credentials.h"

namespace wow {
namespace {

void ctm(const Bytes& bytes) {
  static FakeCredentials credentials(1);
  MetricSlot metrics;
  (void)open_ctm(bytes, credentials, metrics);
  pb::Ctm inner;
  if (!read_message(inner, bytes)) return;
  inner.mutable_source()->set_address(to_string(credentials.address().bytes()));
  pb::SignedCtm outer;
  outer.set_ctm(inner.SerializeAsString());
  outer.set_public_key(to_string(credentials.public_key()));
  outer.set_signature(to_string(
      credentials.sign(concat({view_of(std::string_view("wow ctm 1")), view_of(outer.ctm())}))));
  const auto opened = open_ctm(view_of(outer.SerializeAsString()), credentials, metrics);
  if (!opened) return;
  assert(opened->neighbours.size() <= ring::kListDescribedMax);
  const Bytes again = sign_ctm(*opened, credentials, WallTime(std::chrono::seconds(1)));
  assert(again.size() <= ring::kCtmBytesMax);
}

void beacon(const Bytes& bytes) {
  const auto parsed = LanBeacon::parse(bytes);
  if (parsed) assert(LanBeacon::parse(parsed->write()));
}

void member(const Bytes& bytes) {
  pb::Member wire;
  if (!read_message(wire, bytes)) return;
  const auto parsed = Member::parse(wire);
  if (!parsed) return;
  pb::Member again;
  parsed->write(again, parsed->endpoints.size());
  assert(Member::parse(again));
}

void list(const Bytes& bytes) {
  const Address known[] = {Address(), FakeCredentials::address_of(1)};
  (void)members_of({}, to_string(bytes), known);
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::Choices in(data, size);
  const auto kind = in.byte() % 4;
  const wow::Bytes bytes = in.rest();
  if (kind == 0) wow::ctm(bytes);
  if (kind == 1) wow::member(bytes);
  if (kind == 2) wow::list(bytes);
  if (kind == 3) wow::beacon(bytes);
  return 0;
}
