#include "base/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace wow {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

constexpr std::array<std::pair<std::string_view, Carrier>, 2> kSchemes = {
    {{"tcp://", Carrier::kTcp}, {"tls://", Carrier::kTls}}};

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress out;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), out.bytes_.begin());
  put_big_endian(out.bytes_.data() + 12, host_order, 4);
  return out;
}

IpAddress IpAddress::v6(ByteView sixteen) {
  IpAddress out;
  std::copy_n(sixteen.begin(), 16, out.bytes_.begin());
  return out;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  std::array<std::uint8_t, 16> raw{};
  if (inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1) {
    return v4(static_cast<std::uint32_t>(get_big_endian(raw.data(), 4)));
  }
  if (inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1) return v6(raw);
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::from_bytes(ByteView b) {
  if (b.size() == 4) return v4(static_cast<std::uint32_t>(get_big_endian(b.data(), 4)));
  if (b.size() == 16) return v6(b);
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin());
}

std::uint32_t IpAddress::v4_value() const {
  return static_cast<std::uint32_t>(get_big_endian(bytes_.data() + 12, 4));
}

ByteView IpAddress::bytes() const {
  return is_v4() ? ByteView(bytes_).subspan(12) : ByteView(bytes_);
}

std::string IpAddress::text() const {
  char out[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes().data(), out, sizeof out);
  return out;
}

bool IpAddress::is_unspecified() const {
  return *this == IpAddress() || (is_v4() && v4_value() == 0);
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return v4_value() >> 24 == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; }) &&
         bytes_[15] == 1;
}

bool IpAddress::is_multicast() const {
  if (is_v4()) return v4_value() >> 28 == 14 || v4_value() == 0xffffffff;
  return bytes_[0] == 0xff;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return v4_value() >> 16 == 0xa9fe;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_private() const {
  if (!is_v4()) return (bytes_[0] & 0xfe) == 0xfc;
  const std::uint32_t ip = v4_value();
  return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 22 == 0x64400000 >> 22;
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto ip = IpAddress::parse(text.substr(0, slash));
  const auto bits = parse_number<int>(text.substr(slash + 1));
  if (!ip || !bits || *bits < 0 || *bits > (ip->is_v4() ? 32 : 128)) return std::nullopt;
  const ByteView bytes = ip->bytes();
  for (int i = *bits; i < static_cast<int>(bytes.size()) * 8; ++i) {
    if (bytes[i / 8] & 0x80 >> i % 8) return std::nullopt;
  }
  return Prefix{*ip, *bits};
}

bool Prefix::contains(const IpAddress& ip) const {
  if (ip.is_v4() != network.is_v4()) return false;
  const ByteView a = network.bytes(), b = ip.bytes();
  for (int i = 0; i < bits; ++i) {
    if ((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8) return false;
  }
  return true;
}

bool Prefix::overlaps(const Prefix& other) const {
  return contains(other.network) || other.contains(network);
}

std::string Prefix::text() const { return network.text() + "/" + std::to_string(bits); }

std::uint64_t Prefix::size() const { return std::uint64_t{1} << (32 - bits); }

IpAddress Prefix::at(std::uint64_t offset) const {
  return IpAddress::v4(network.v4_value() + static_cast<std::uint32_t>(offset));
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  Carrier carrier = Carrier::kUdp;
  for (const auto& [name, meant] : kSchemes) {
    if (!text.starts_with(name)) continue;
    carrier = meant;
    text.remove_prefix(name.size());
    break;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::parse(host);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!ip || !port || *port == 0 || bracketed == ip->is_v4()) return std::nullopt;
  return Endpoint{*ip, *port, carrier};
}

std::optional<Endpoint> Endpoint::from_bytes(ByteView b) {
  Carrier carrier = Carrier::kUdp;
  if (b.size() == 7 || b.size() == 19) {
    carrier = static_cast<Carrier>(b.back());
    if (carrier != Carrier::kTcp && carrier != Carrier::kTls) return std::nullopt;
    b = b.first(b.size() - 1);
  }
  if (b.size() != 6 && b.size() != 18) return std::nullopt;
  const auto ip = IpAddress::from_bytes(b.first(b.size() - 2));
  return Endpoint{*ip, static_cast<std::uint16_t>(get_big_endian(b.data() + b.size() - 2, 2)),
                  carrier};
}

Bytes Endpoint::bytes() const {
  Writer out;
  out.bytes(ip.bytes()).u16(port);
  if (is_stream()) out.u8(static_cast<std::uint8_t>(carrier));
  return out.take();
}

std::string Endpoint::text() const {
  std::string out = carrier == Carrier::kAccepted ? "stream from " : "";
  for (const auto& [name, meant] : kSchemes) {
    if (meant == carrier) out = name;
  }
  return out + (ip.is_v4() ? ip.text() : "[" + ip.text() + "]") + ":" + std::to_string(port);
}

std::size_t EndpointHash::operator()(const Endpoint& e) const {
  const ByteView raw = e.ip.mapped();
  const std::uint64_t mixed =
      (get_big_endian(raw.data(), 8) ^ get_big_endian(raw.data() + 8, 8)) * 0x9e3779b97f4a7c15 ^
      (e.port | static_cast<std::uint64_t>(e.carrier) << 16) * 0xc2b2ae3d27d4eb4f;
  return static_cast<std::size_t>(mixed ^ mixed >> 29);
}

}  // namespace wow
