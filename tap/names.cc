#include "tap/names.h"

#include <algorithm>

#include "proto/vnet.pb.h"

namespace wow {

bool is_host_address(const IpAddress& ip, const Prefix& subnet) {
  if (!subnet.contains(ip)) return false;
  if (!ip.is_v4()) return ip != subnet.network;
  if (subnet.size() < 4) return false;
  const std::uint64_t offset = ip.v4_value() - subnet.network.v4_value();
  return offset != 0 && offset < subnet.size() - 2;
}

IpAddress service_address(const Prefix& subnet) {
  return subnet.at(subnet.size() >= 4 ? subnet.size() - 2 : 0);
}

std::string ip_key(const IpAddress& ip) { return std::string(kIpKeys) + ip.text(); }
std::string name_key(std::string_view name) { return std::string(kNameKeys).append(name); }

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > kNameBytesMax) return false;
  if (text.front() == '-' || text.back() == '-' || text == "localhost") return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  }
  return out;
}

std::string domain_suffix(std::string_view pool) { return "." + lower_case(pool) + ".internal"; }

std::optional<std::string> host_name_of(std::string_view text, std::string_view pool) {
  std::string name = lower_case(text);
  if (name.ends_with(domain_suffix(pool))) name.resize(name.size() - domain_suffix(pool).size());
  if (!is_host_name(name)) return std::nullopt;
  return name;
}

std::string name_with_address(std::string_view name, const IpAddress& ip) {
  const ByteView bytes = ip.bytes();
  const std::string tail = "-" + std::to_string(bytes[2]) + "-" + std::to_string(bytes[3]);
  return std::string(name.substr(0, kNameBytesMax - tail.size())) + tail;
}

std::optional<LeaseValue> parse_lease(const DhtRecord& record) {
  pb::Lease lease;
  if (!record.key.starts_with(kIpKeys)) return std::nullopt;
  const auto ip = IpAddress::parse(std::string_view(record.key).substr(kIpKeys.size()));
  if (!ip || !lease.ParseFromArray(record.data.data(), static_cast<int>(record.data.size()))) {
    return std::nullopt;
  }
  LeaseValue out{*ip, is_host_name(lease.name()) ? lease.name() : "", {}};
  if (MacAddress mac; lease.mac().size() == mac.size() && (lease.mac()[0] & 1) == 0) {
    std::copy(lease.mac().begin(), lease.mac().end(), mac.begin());
    out.mac = mac;
  }
  return out;
}

std::optional<IpAddress> parse_name_record(const DhtRecord& record) {
  pb::NameRecord value;
  if (!value.ParseFromArray(record.data.data(), static_cast<int>(record.data.size()))) {
    return std::nullopt;
  }
  return IpAddress::parse(value.ip());
}

}  // namespace wow
