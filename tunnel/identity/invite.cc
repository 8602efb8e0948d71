#include "tunnel/identity/invite.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/endpoint.h"
#include "tunnel/identity/armor.h"
#include "tunnel/identity/certificate.h"

namespace wow {
namespace {

constexpr const char* kBlockName = "WOW INVITE";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kChecksumBytes = 8;

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

// Protocol Buffers' strings do not wipe themselves.
void wipe(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }

struct WipedMessage {
  pb::Invite message;
  ~WipedMessage() {
    wipe(*message.mutable_invite_key());
    wipe(*message.mutable_pool_key());
  }
};

std::optional<WallTime> join_by(const pb::Rights& rights) {
  if (rights.join_by() == 0) return std::nullopt;
  return WallTime(std::chrono::seconds(rights.join_by()));
}

Result<void> check_bootstraps(const auto& bootstraps) {
  if (static_cast<std::size_t>(bootstraps.size()) > kBootstrapsMax)
    return bad("an invite can name at most 32 bootstraps");
  for (const std::string& bootstrap : bootstraps)
    if (!is_bootstrap(bootstrap))
      return bad("a bootstrap must look like 198.51.100.7:4433 or host.example:4433");
  return {};
}

}  // namespace

Result<Invite> Invite::create(PoolRoot& root, const InviteOptions& options) {
  pb::Rights rights;
  const Secret id = random_secret(16);
  rights.set_invite_id(id.data(), id.size());
  rights.set_label(options.label);
  *rights.mutable_groups() = {options.groups.begin(), options.groups.end()};
  rights.set_bridge(options.bridge);
  *rights.mutable_routes() = {options.routes.begin(), options.routes.end()};
  if (options.join_by) rights.set_join_by(options.join_by->time_since_epoch().count());
  if (auto checked = check_rights(rights); !checked) return checked.error();
  if (auto checked = check_bootstraps(options.bootstraps); !checked) return checked.error();

  Invite out(PrivateKey::generate());
  const OwnedCertificate root_certificate = parse_certificate(root.certificate());
  out.root_certificate_ = root.certificate();
  out.invite_certificate_ =
      make_invite_certificate({root_certificate.get(), root.key()}, out.key_.public_key(), rights);
  // Members would refuse it, so it must not be handed out.
  if (out.invite_certificate_.size() > kCertificateBytesMax)
    return bad("the invite's groups and routes are too long");
  out.signed_settings_ = root.signed_settings();
  out.settings_ = root.settings();
  out.rights_ = rights;
  out.bootstraps_ = options.bootstraps;
  out.pool_key_ = to_secret(root.pool_key());
  root.record_issued(out.invite_certificate_);
  return out;
}

// The block's data: | version 1 | serialized pb::Invite | SHA-256 of all before it, first 8 bytes |
SecretText Invite::to_text() const {
  WipedMessage wiped;
  pb::Invite& message = wiped.message;
  const Secret key = key_.pkcs8();
  message.set_root_certificate(to_string(root_certificate_));
  message.set_invite_certificate(to_string(invite_certificate_));
  message.set_invite_key(key.data(), key.size());
  message.set_signed_settings(to_string(signed_settings_));
  *message.mutable_bootstraps() = {bootstraps_.begin(), bootstraps_.end()};
  message.set_pool_key(pool_key_.data(), pool_key_.size());

  Secret data(1 + message.ByteSizeLong());
  data[0] = kVersion;
  must(message.SerializeToArray(data.data() + 1, static_cast<int>(data.size() - 1)));
  const Bytes sum = sha256(data);
  data.insert(data.end(), sum.begin(), sum.begin() + kChecksumBytes);

  SecretText text("# An invite to wow pool ");
  text += settings_.name() + ", labelled " + rights_.label() + ".\n";
  const auto date = join_by(rights_);
  text += date ? "# Join before " + date_text(*date) + " with: wow join FILE\n"
               : "# Join with: wow join FILE\n";
  text += "# Keep it secret: whoever has this file can join.\n";
  append_block(text, kBlockName, data);
  return text;
}

Result<Invite> Invite::parse(std::string_view text) {
  if (text.find("-----BEGIN WOW INVITE-----") == text.npos)
    return bad("this is not an invite: it has no line BEGIN WOW INVITE");
  if (text.find("-----END WOW INVITE-----") == text.npos)
    return bad("the invite is cut short: its END line is missing; copy the whole file again");
  const Error damaged = bad("the invite is damaged; copy the whole file again");
  const auto blocks = read_blocks(text);
  if (!blocks || blocks->size() != 1) return damaged;
  const ByteView data = find_block(*blocks, kBlockName);
  if (data.size() <= 1 + kChecksumBytes) return damaged;
  const ByteView body = data.first(data.size() - kChecksumBytes);
  const Bytes sum = sha256(body);
  if (!std::ranges::equal(data.last(kChecksumBytes), ByteView(sum).first(kChecksumBytes)))
    return damaged;
  if (body[0] != kVersion)
    return bad("the invite has format version " + std::to_string(body[0]) +
               ", and this program reads version 1: use the wow that made it, or a newer one");
  WipedMessage wiped;
  pb::Invite& message = wiped.message;
  if (!message.ParseFromArray(body.data() + 1, static_cast<int>(body.size() - 1))) return damaged;
  return from_message(message);
}

Result<Invite> Invite::from_message(const pb::Invite& message) {
  const auto untrusted = [](const std::string& what) {
    return Error{ErrorCode::kUntrusted, "the invite does not hold together: " + what};
  };
  auto key = PrivateKey::parse(view_of(message.invite_key()));
  if (!key) return untrusted("its key is missing");
  const OwnedCertificate root = parse_root_certificate(view_of(message.root_certificate()));
  if (!root) return untrusted("its pool certificate is not valid");
  auto settings = verify_settings(view_of(message.signed_settings()), *public_key_of(root.get()));
  if (!settings) return untrusted(settings.error().message);
  const OwnedCertificate invite = parse_certificate(view_of(message.invite_certificate()));
  if (!invite || public_key_of(invite.get()) != key->public_key())
    return untrusted("its certificate does not belong to its key");
  // When the settings inside were signed: whether the invite is still good today is join()'s
  // question.
  const auto rights = verify_invite_certificate(invite.get(), root.get(),
                                                judged_time(WallTime{}, WallTime{}, *settings));
  if (!rights) return untrusted(rights.error().message);
  if (message.pool_key().size() != kPoolKeyBytes) return untrusted("its pool key is missing");
  if (!check_bootstraps(message.bootstraps())) return untrusted("a bootstrap in it is no endpoint");

  Invite out(std::move(*key));
  out.root_certificate_ = to_bytes(message.root_certificate());
  out.invite_certificate_ = to_bytes(message.invite_certificate());
  out.signed_settings_ = to_bytes(message.signed_settings());
  out.settings_ = std::move(*settings);
  out.rights_ = *rights;
  out.bootstraps_ = {message.bootstraps().begin(), message.bootstraps().end()};
  out.pool_key_ = to_secret(view_of(message.pool_key()));
  return out;
}

InviteFacts Invite::explain() const {
  const ByteView id = view_of(rights_.invite_id());
  InviteFacts out;
  out.pool = settings_.name();
  out.subnet = settings_.subnet();
  out.mtu = settings_.mtu();
  out.label = rights_.label();
  out.id = to_hex(id);
  out.groups = {rights_.groups().begin(), rights_.groups().end()};
  out.bridge = rights_.bridge();
  out.routes = {rights_.routes().begin(), rights_.routes().end()};
  out.join_by = join_by(rights_);
  out.bootstraps = bootstraps_;
  out.root_fingerprint = fingerprint(root_certificate_);
  out.settings_number = settings_.number();
  out.closed = !check_welcome(settings_, Address(), id);
  return out;
}

std::string date_text(WallTime time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm));
}

bool is_bootstrap(std::string_view text) {
  if (Endpoint::parse(text)) return true;
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || colon > 253) return false;
  const std::string_view port = text.substr(colon + 1);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.begin(), port.end(), number);
  return error == std::errc() && end == port.end() && number != 0 &&
         std::ranges::all_of(text.substr(0, colon), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '.';
         });
}

}  // namespace wow
