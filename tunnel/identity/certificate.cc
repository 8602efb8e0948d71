#include "tunnel/identity/certificate.h"

#include <openssl/x509v3.h>

#include <algorithm>

namespace wow {
namespace {

using Extension = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using OctetString = Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;

struct Subject {
  std::string common_name;
  ByteView public_key;
  int path_length;  // -1: not a CA
};

const ASN1_OBJECT* rights_oid() {
  static const ASN1_OBJECT* const oid = OBJ_txt2obj("1.3.6.1.4.1.59999.1", 1);
  return oid;
}

void set_basic_constraints(X509* certificate, int path_length) {
  const std::string value = path_length < 0
                                ? "critical,CA:FALSE"
                                : "critical,CA:TRUE,pathlen:" + std::to_string(path_length);
  Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, value.c_str()));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

// extnValue holds DER by X.509's rules, so the protobuf goes in as an OCTET STRING of its own.
void set_rights(X509* certificate, const pb::Rights& rights) {
  const std::string bytes = rights.SerializeAsString();
  OctetString inner(ASN1_OCTET_STRING_new()), outer(ASN1_OCTET_STRING_new());
  must(ASN1_OCTET_STRING_set(inner.get(), view_of(bytes).data(), static_cast<int>(bytes.size())));
  std::uint8_t* der = nullptr;
  const int size = i2d_ASN1_OCTET_STRING(inner.get(), &der);
  must(size > 0 && ASN1_OCTET_STRING_set(outer.get(), der, size) == 1);
  OPENSSL_free(der);
  Extension extension(X509_EXTENSION_create_by_OBJ(nullptr, rights_oid(), /*crit=*/0, outer.get()));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

void set_serial(X509* certificate) {
  const Secret random = random_secret(8);
  must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate),
                               get_big_endian(random.data(), 8) >> 1) == 1);
}

// Null issuer: self-signed, valid from `not_before`. Else validity starts where the issuer's does:
// a joining machine's clock, right or wrong, has no say in when others accept it.
Bytes issue(const Subject& subject, const X509* issuer, const PrivateKey& issuer_key,
            WallTime not_before, WallTime not_after, const pb::Rights* rights) {
  OwnedCertificate made(X509_new());
  X509* x = made.get();
  must(x && X509_set_version(x, X509_VERSION_3) == 1);
  set_serial(x);
  OwnedKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, subject.public_key.data(),
                                           subject.public_key.size()));
  must(key && X509_set_pubkey(x, key.get()) == 1);
  const std::string name = subject.common_name.substr(0, 64);
  must(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                  view_of(name).data(), static_cast<int>(name.size()), -1, 0) == 1);
  must(X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)) == 1);
  if (issuer)
    must(X509_set1_notBefore(x, X509_get0_notBefore(issuer)) == 1);
  else
    must(ASN1_TIME_set(X509_getm_notBefore(x), not_before.time_since_epoch().count()) != nullptr);
  must(ASN1_TIME_set(X509_getm_notAfter(x), not_after.time_since_epoch().count()) != nullptr);
  set_basic_constraints(x, subject.path_length);
  if (rights) set_rights(x, *rights);
  must(X509_sign(x, issuer_key.handle(), nullptr) > 0);
  return der_of(x);
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

WallTime not_after(const X509* certificate) {
  std::tm tm{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1) return WallTime{};
  return WallTime(std::chrono::seconds(timegm(&tm)));
}

// 1: a CA certificate of version 3; 0: an end certificate. (OpenSSL's signature lacks a const.)
int ca_kind(const X509* certificate) { return X509_check_ca(const_cast<X509*>(certificate)); }

bool is_signed_with_ed25519(const X509* certificate) {
  return X509_get_signature_nid(certificate) == NID_ED25519;
}

// RFC 5280, 6.1, by OpenSSL: signatures, validity at `when`, CA flags, path lengths, unknown
// critical extensions. `invite` is null when `first` itself is one.
Result<void> verify_path(const X509* first, const X509* invite, const X509* root, WallTime when) {
  Owned<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  const auto free_stack = [](STACK_OF(X509) * s) { sk_X509_free(s); };
  std::unique_ptr<STACK_OF(X509), decltype(free_stack)> between(sk_X509_new_null(), free_stack);
  std::unique_ptr<STACK_OF(X509), decltype(free_stack)> roots(sk_X509_new_null(), free_stack);
  must(context && between && roots && sk_X509_push(roots.get(), const_cast<X509*>(root)) > 0);
  if (invite) must(sk_X509_push(between.get(), const_cast<X509*>(invite)) > 0);
  must(X509_STORE_CTX_init(context.get(), nullptr, const_cast<X509*>(first), between.get()) == 1);
  X509_STORE_CTX_set0_trusted_stack(context.get(), roots.get());
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(param, when.time_since_epoch().count());
  X509_VERIFY_PARAM_set_depth(param, 1);
  if (X509_verify_cert(context.get()) == 1) {
    // An invite's CA in the place of an end certificate would make a shorter path.
    const int wanted = invite ? 3 : 2;
    if (sk_X509_num(X509_STORE_CTX_get0_chain(context.get())) == wanted) return {};
    return Error{ErrorCode::kUntrusted, "the certificate chain is not end, invite, pool"};
  }
  const int why = X509_STORE_CTX_get_error(context.get());
  return Error{why == X509_V_ERR_CERT_HAS_EXPIRED ? ErrorCode::kExpired : ErrorCode::kUntrusted,
               std::string("the certificate does not lead to this pool's root: ") +
                   X509_verify_cert_error_string(why)};
}

}  // namespace

Bytes make_root_certificate(const std::string& common_name, const PrivateKey& key, WallTime now) {
  return issue({common_name, key.public_key(), 1}, nullptr, key, now - kBackdated, kNoExpiry,
               nullptr);
}

Bytes make_invite_certificate(const Issuer& root, ByteView public_key, const pb::Rights& rights) {
  const std::string id = to_hex(view_of(rights.invite_id())).substr(0, 8);
  return issue({"invite " + id, public_key, 0}, root.certificate, root.key, {}, kNoExpiry, &rights);
}

Bytes make_end_certificate(const Issuer& invite, ByteView public_key, WallTime expiry) {
  const std::string name = "node " + address_of_public_key(public_key).short_hex();
  return issue({name, public_key, -1}, invite.certificate, invite.key, {}, expiry, nullptr);
}

OwnedCertificate parse_certificate(ByteView der) {
  if (der.size() > kCertificateBytesMax) return nullptr;
  const std::uint8_t* at = der.data();
  OwnedCertificate out(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  return out && at == der.data() + der.size() ? std::move(out) : nullptr;
}

Bytes der_of(const X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  must(size > 0);
  Bytes out(static_cast<std::size_t>(size));
  std::uint8_t* at = out.data();
  i2d_X509(certificate, &at);
  return out;
}

std::optional<Bytes> public_key_of(const X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (!key || EVP_PKEY_id(key) != EVP_PKEY_ED25519) return std::nullopt;
  Bytes raw(kPublicKeyBytes);
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1) return std::nullopt;
  return raw;
}

OwnedCertificate parse_root_certificate(ByteView der) {
  OwnedCertificate root = parse_certificate(der);
  const bool good = root && public_key_of(root.get()) && is_signed_with_ed25519(root.get()) &&
                    ca_kind(root.get()) == 1 &&
                    X509_verify(root.get(), X509_get0_pubkey(root.get())) == 1;
  return good ? std::move(root) : nullptr;
}

std::string fingerprint(ByteView der) {
  std::string out;
  for (const std::uint8_t byte : sha256(der)) {
    for (const char c : to_hex({&byte, 1})) out += static_cast<char>(std::toupper(c));
    out += ':';
  }
  out.pop_back();
  return out;
}

std::optional<pb::Rights> rights_of(const X509* invite_certificate) {
  const int at = X509_get_ext_by_OBJ(invite_certificate, rights_oid(), -1);
  if (at < 0 || X509_get_ext_by_OBJ(invite_certificate, rights_oid(), at) >= 0) return std::nullopt;
  const ASN1_OCTET_STRING* outer = X509_EXTENSION_get_data(X509_get_ext(invite_certificate, at));
  const std::uint8_t* p = ASN1_STRING_get0_data(outer);
  OctetString inner(d2i_ASN1_OCTET_STRING(nullptr, &p, ASN1_STRING_length(outer)));
  pb::Rights rights;
  const bool good =
      inner &&
      rights.ParseFromArray(ASN1_STRING_get0_data(inner.get()), ASN1_STRING_length(inner.get())) &&
      check_rights(rights);
  return good ? std::optional(rights) : std::nullopt;
}

Result<void> check_rights(const pb::Rights& rights) {
  const auto bad = [](std::string sentence) {
    return Error{ErrorCode::kInvalidArgument, std::move(sentence)};
  };
  constexpr int kListMax = 16;
  if (rights.invite_id().size() != 16) return bad("an invite's id must have 16 bytes");
  if (!is_name(rights.label()))
    return bad("an invite's label must be 1 to 63 letters, digits, dots, dashes or underscores");
  if (rights.groups_size() > kListMax || rights.routes_size() > kListMax)
    return bad("an invite can grant at most 16 groups and 16 routes");
  for (const std::string& group : rights.groups())
    if (!is_name(group))
      return bad("a group must be 1 to 63 letters, digits, dots, dashes or underscores");
  for (const std::string& route : rights.routes())
    if (!Prefix::parse(route)) return bad("a route must look like 10.9.0.0/16");
  if (rights.join_by() < 0) return bad("an invite's join-by date must not be before 1970");
  return {};
}

Bytes pack_chain(const std::vector<Bytes>& certificates) {
  Writer writer;
  for (const Bytes& der : certificates)
    writer.u16(static_cast<std::uint16_t>(der.size())).bytes(der);
  return writer.take();
}

std::optional<std::vector<ByteView>> unpack_chain(ByteView chain) {
  std::vector<ByteView> out;
  Reader reader(chain);
  while (reader.ok() && reader.remaining() > 0) out.push_back(reader.take(reader.u16()));
  return reader.ok() ? std::optional(out) : std::nullopt;
}

Result<VerifiedChain> verify_chain(ByteView chain, const X509* root, WallTime when) {
  const Error not_a_chain{ErrorCode::kUntrusted, "the certificate chain is not end, invite, pool"};
  const auto parts = unpack_chain(chain);
  if (!parts || parts->size() != 2) return not_a_chain;
  const OwnedCertificate end = parse_certificate((*parts)[0]);
  const OwnedCertificate invite = parse_certificate((*parts)[1]);
  if (!end || !invite || ca_kind(end.get()) != 0) return not_a_chain;
  const auto key = public_key_of(end.get());
  if (!key || !is_signed_with_ed25519(end.get()))
    return Error{ErrorCode::kUntrusted, "the certificate is not Ed25519"};
  const auto rights = verify_invite_certificate(invite.get(), root, when);
  if (!rights) return rights.error();
  if (auto path = verify_path(end.get(), invite.get(), root, when); !path) return path.error();

  VerifiedChain out{{address_of_public_key(*key),
                     to_bytes(rights->invite_id()),
                     rights->bridge(),
                     {},
                     {rights->groups().begin(), rights->groups().end()}},
                    *key,
                    std::min({not_after(end.get()), not_after(invite.get()), not_after(root)})};
  for (const std::string& route : rights->routes())
    out.identity.routes.push_back(*Prefix::parse(route));
  return out;
}

Result<pb::Rights> verify_invite_certificate(const X509* invite, const X509* root, WallTime when) {
  if (!public_key_of(invite) || !is_signed_with_ed25519(invite) || ca_kind(invite) != 1)
    return Error{ErrorCode::kUntrusted, "the invite's certificate is not an Ed25519 CA"};
  if (auto path = verify_path(invite, nullptr, root, when); !path) return path.error();
  const auto rights = rights_of(invite);
  if (!rights)
    return Error{ErrorCode::kUntrusted, "the invite's certificate grants no valid rights"};
  return *rights;
}

}  // namespace wow
