// What lies on disk or travels in certificates: armored files, invites, memberships, pool roots,
// settings, certificates and chains of them.
#include "proto/identity.pb.h"
#include "tests/fuzz/fuzz.h"
#include "tunnel/identity/armor.h"
#include "tunnel/identity/certificate.h"
#include "tunnel/identity/invite.h"
#include "tunnel/identity/member.h"

namespace wow {
namespace {

const PoolRoot& root() {
  static const PoolRoot root =
      std::move(*PoolRoot::create({"lab", "10.128.0.0/16"}, WallTime(std::chrono::seconds(1))));
  return root;
}

void certificate(const Bytes& bytes) {
  const auto parsed = parse_certificate(bytes);
  if (parsed) {
    (void)public_key_of(parsed.get());
    (void)rights_of(parsed.get());
    assert(der_of(parsed.get()).size() <= kCertificateBytesMax);
  }
  (void)parse_root_certificate(bytes);
}

void chain(const Bytes& bytes) {
  const auto parts = unpack_chain(bytes);
  if (parts) {
    for (const ByteView part : *parts) touch(part);
  }
  const auto trusted = parse_certificate(root().certificate());
  (void)verify_chain(bytes, trusted.get(), WallTime(std::chrono::seconds(2)));
}

// Signed as they are, or nobody would look inside.
void settings(const Bytes& bytes) {
  (void)verify_settings(bytes, root().key().public_key());
  pb::Settings parsed;
  if (!read_message(parsed, bytes) || !check_settings(parsed)) return;
  const Bytes again = sign_settings(parsed, root().key());
  assert(verify_settings(again, root().key().public_key()));
  (void)check_welcome(parsed, Address(), bytes);
  (void)judged_time({}, {}, parsed);
}

}  // namespace
}  // namespace wow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wow::Choices in(data, size);
  const auto kind = in.byte() % 8;
  const wow::Bytes bytes = in.rest();
  const std::string text = wow::to_string(bytes);
  switch (kind) {
    case 0:
      (void)wow::read_blocks(text);
      break;
    case 1:
      if (const auto invite = wow::Invite::parse(text)) (void)invite->explain();
      break;
    case 2:
      if (const auto member = wow::Membership::parse(text)) (void)member->settings();
      break;
    case 3:
      if (const auto root = wow::PoolRoot::parse(text)) (void)root->issued();
      break;
    case 4:
      wow::certificate(bytes);
      break;
    case 5:
      wow::chain(bytes);
      break;
    case 6:
      (void)wow::PrivateKey::parse(bytes);
      break;
    default:
      wow::settings(bytes);
  }
  return 0;
}
