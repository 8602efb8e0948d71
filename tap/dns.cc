#include "tap/dns.h"

#include <charconv>
#include <utility>

#include "tap/names.h"

namespace wow {
namespace {

constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kResponse = 0x8000, kOpcode = 0x7800, kAuthoritative = 0x0400,
                        kTruncated = 0x0200, kRecursionDesired = 0x0100;
constexpr std::uint16_t kPointerToQuestion = 0xc00c;  // RFC 1035, 4.1.4
constexpr std::size_t kLabelBytesMax = 63, kNameBytesMaxDns = 255;
constexpr std::string_view kReverseSuffix = ".in-addr.arpa", kReverseSuffixV6 = ".ip6.arpa";

DnsCode code_of(const Error& error) {
  return error.code == ErrorCode::kNotFound ? DnsCode::kNoSuchName : DnsCode::kServerFailure;
}

}  // namespace

std::optional<DnsQuestion> DnsQuestion::parse(ByteView message) {
  Reader in(message);
  DnsQuestion out;
  out.id = in.u16();
  const std::uint16_t flags = in.u16();
  const std::uint16_t questions = in.u16();
  in.take(6);  // answers, authorities and additions (EDNS, which we need not answer: RFC 6891, 7)
  if (!in.ok() || flags & (kResponse | kOpcode | kTruncated) || questions != 1) {
    return std::nullopt;
  }
  out.recursion_desired = flags & kRecursionDesired;
  const std::size_t begin = message.size() - in.remaining();
  while (const std::uint8_t length = in.u8()) {
    const ByteView label = in.take(length);
    // No compression in a question; a dot inside a label would read as two labels.
    if (!in.ok() || length > kLabelBytesMax || text_of(label).find('.') != std::string::npos ||
        out.name.size() + length > kNameBytesMaxDns) {
      return std::nullopt;
    }
    if (!out.name.empty()) out.name += '.';
    out.name += lower_case(text_of(label));
  }
  out.type = in.u16();
  if (in.u16() != kClassIn || !in.ok()) return std::nullopt;
  out.section = to_bytes(message.subspan(begin, message.size() - in.remaining() - begin));
  return out;
}

Bytes write_dns_answer(const DnsQuestion& question, DnsCode code, ByteView data,
                       std::uint16_t type) {
  Writer out;
  std::uint16_t flags = kResponse | static_cast<std::uint16_t>(code);
  if (code != DnsCode::kRefused) flags |= kAuthoritative;
  if (question.recursion_desired) flags |= kRecursionDesired;
  out.u16(question.id).u16(flags).u16(1).u16(data.empty() ? 0 : 1).u32(0).bytes(question.section);
  if (data.empty()) return out.take();
  out.u16(kPointerToQuestion).u16(type).u16(kClassIn);
  out.u32(DnsResponder::kTtlSeconds).u16(static_cast<std::uint16_t>(data.size())).bytes(data);
  return out.take();
}

constexpr std::size_t kWholeNameBytesMax = 255;  // RFC 1035, 2.3.4

std::optional<Bytes> write_dns_name(std::string_view name) {
  Writer out;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kLabelBytesMax) return std::nullopt;
    out.u8(static_cast<std::uint8_t>(label.size())).bytes(view_of(label));
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  if (out.view().size() >= kWholeNameBytesMax) return std::nullopt;
  return out.u8(0).take();
}

namespace {

// RFC 3596, 2.5: one digit a label, the last first.
std::optional<IpAddress> parse_reverse_v6(std::string_view digits) {
  std::string text;
  for (; !digits.empty(); digits.remove_prefix(std::min<std::size_t>(digits.size(), 2))) {
    if (digits.size() >= 2 && digits[1] != '.') return std::nullopt;
    text.insert(text.begin(), digits[0]);
  }
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != 16) return std::nullopt;
  return IpAddress::v6(*bytes);
}

}  // namespace

std::optional<IpAddress> parse_reverse_name(std::string_view name) {
  if (name.ends_with(kReverseSuffixV6)) {
    return parse_reverse_v6(name.substr(0, name.size() - kReverseSuffixV6.size()));
  }
  if (!name.ends_with(kReverseSuffix)) return std::nullopt;
  name.remove_suffix(kReverseSuffix.size());
  std::uint32_t ip = 0;
  for (int i = 0; i < 4; ++i) {
    const std::string_view label = name.substr(0, name.find('.'));
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), byte);
    if (error != std::errc() || end != label.data() + label.size()) return std::nullopt;
    ip |= static_cast<std::uint32_t>(byte) << 8 * i;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  if (!name.empty()) return std::nullopt;
  return IpAddress::v4(ip);
}

DnsResponder::DnsResponder(std::string pool, const Prefix& subnet, const Prefix& subnet6,
                           Directory& directory, Dht::Likely meet)
    : pool_(std::move(pool)),
      subnet_(subnet),
      subnet6_(subnet6),
      directory_(directory),
      meet_(std::move(meet)) {}

void DnsResponder::ask(ByteView query, std::function<void(const Bytes&)> reply) {
  auto question = DnsQuestion::parse(query);
  if (!question || pending_ >= kAnswersPendingMax) return;
  ++pending_;
  const auto answer = [this, question = *question, reply](DnsCode code, const Bytes& data,
                                                          std::uint16_t type) {
    --pending_;
    reply(write_dns_answer(question, code, data, type));
  };
  const auto nothing = [&answer](DnsCode code) { answer(code, {}, 0); };
  if (const auto ip = parse_reverse_name(question->name);
      ip && (subnet_.contains(*ip) || subnet6_.contains(*ip))) {
    if (question->type != DnsQuestion::kPtr && question->type != DnsQuestion::kAny) {
      return nothing(DnsCode::kNoError);
    }
    return ask_address(*ip, answer);
  }
  const std::string suffix = domain_suffix(pool_);
  if ("." + question->name == suffix) return nothing(DnsCode::kNoError);
  if (!question->name.ends_with(suffix)) return nothing(DnsCode::kRefused);
  ask_name(*question, answer);
}

void DnsResponder::ask_name(const DnsQuestion& question, Answer answer) {
  const auto name = host_name_of(question.name, pool_);
  if (!name) return answer(DnsCode::kNoSuchName, {}, 0);
  const bool six = question.type == DnsQuestion::kAaaa;
  // There are no others: they must not cost a look-up.
  if (!six && question.type != DnsQuestion::kA && question.type != DnsQuestion::kAny) {
    return answer(DnsCode::kNoError, {}, 0);
  }
  const auto found = [six, answer = std::move(answer)](Result<LeaseRow> row) {
    if (!row) return answer(code_of(row.error()), {}, 0);
    answer(DnsCode::kNoError, to_bytes(six ? row->ip6.bytes() : row->ip.bytes()),
           six ? DnsQuestion::kAaaa : DnsQuestion::kA);
  };
  directory_.by_name(*name, found, meet_);
}

void DnsResponder::ask_address(const IpAddress& ip, Answer answer) {
  directory_.by_ip(ip, [this, answer = std::move(answer)](Result<LeaseRow> row) {
    if (!row) return answer(code_of(row.error()), {}, 0);
    const auto name =
        row->name.empty() ? std::nullopt : write_dns_name(row->name + domain_suffix(pool_));
    if (!name) return answer(DnsCode::kNoSuchName, {}, 0);
    answer(DnsCode::kNoError, *name, DnsQuestion::kPtr);
  });
}

}  // namespace wow
