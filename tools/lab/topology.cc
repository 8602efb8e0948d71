#include "tools/lab/topology.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tools/lab/commented_json.h"
#include "tools/lab/json_fields.h"

namespace wow::lab {

namespace json = boost::json;

namespace {

constexpr std::size_t kNameMax = 15;  // a name is an interface's, too (IFNAMSIZ)
constexpr std::uint64_t kFirstHost = 10;
constexpr double kMilliseconds = 1e6;

Error wrong(const std::string& what) { return Error{ErrorCode::kInvalidArgument, what}; }

bool is_node_name(const std::string& name) {
  constexpr std::array kTaken = {"lo", "lan", "wan", "net", kInternet};
  if (name.empty() || name.size() > kNameMax || name[0] < 'a' || name[0] > 'z') return false;
  if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end()) return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

void check_name(const Fields& fields, const std::string& name) {
  if (!is_node_name(name))
    fields.fail(name,
                "cannot be a name: it must start with a letter and have at most 15 of a-z, 0-9 and "
                "-, and not be lo, lan, wan, net or internet");
}

IpAddress ipv4_of(Fields& fields, const std::string& key) {
  const auto text = fields.text(key);
  if (!text) return {};
  const auto ip = IpAddress::parse(*text);
  if (!ip || !ip->is_v4()) fields.fail(key, "must be an IPv4 address such as 198.51.100.21");
  return *ip;
}

Prefix prefix_of_field(Fields& fields, const std::string& key, bool v4) {
  const auto text = fields.text(key);
  if (!text) return {};
  const auto prefix = Prefix::parse(*text);
  if (v4 && (!prefix || !prefix->network.is_v4() || prefix->bits < 8 || prefix->bits > 29))
    fields.fail(key, "must be an IPv4 network of 8 to 29 bits such as 192.168.1.0/24");
  if (!v4 && (!prefix || prefix->network.is_v4() || prefix->bits != 64))
    fields.fail(key, "must be an IPv6 network of 64 bits such as 2001:db8:1::/64");
  return *prefix;
}

constexpr std::array kLineKeys = {"delay_ms",  "jitter_ms", "loss_percent",
                                  "rate_mbit", "mtu",       "reorder"};

LineQuality line_fields(Fields& fields, LineQuality line) {
  const auto milliseconds = [](double ms) {
    return Duration(static_cast<std::int64_t>(std::llround(ms * kMilliseconds)));
  };
  if (const auto ms = fields.number("delay_ms", 0, 10'000)) line.delay = milliseconds(*ms);
  if (const auto ms = fields.number("jitter_ms", 0, 10'000)) line.jitter = milliseconds(*ms);
  if (const auto percent = fields.number("loss_percent", 0, 100)) line.loss = *percent / 100;
  if (const auto mbit = fields.number("rate_mbit", 0, 100'000))
    line.bits_per_second = static_cast<std::uint64_t>(std::llround(*mbit * 1e6));
  if (const auto mtu = fields.number("mtu", 0, kMtuMax)) {
    if (*mtu != 0 && *mtu < 68) fields.fail("mtu", "must be 0 for any, or from 68 to 9000");
    line.mtu = static_cast<std::size_t>(*mtu);
  }
  if (const auto reorder = fields.flag("reorder")) line.reorder = *reorder;
  return line;
}

// A line is one as soon as any of its keys is there, so that it can be changed later.
std::optional<LineQuality> line_of_fields(Fields& fields, const json::object& object) {
  const bool is_line = std::any_of(kLineKeys.begin(), kLineKeys.end(),
                                   [&](const char* key) { return object.contains(key); });
  const LineQuality line = line_fields(fields, {});
  return is_line ? std::optional(line) : std::nullopt;
}

std::optional<std::vector<Service>> services_of(Fields& fields, const std::string& key) {
  const json::array* list = fields.array(key);
  if (!list) return std::nullopt;
  std::vector<Service> out;
  for (const json::value& value : *list) {
    const auto service =
        value.is_string() ? Service::parse(value.get_string()) : std::optional<Service>();
    if (!service)
      fields.fail(key, "may list \"udp\", \"tcp\", \"icmp\", \"udp 4433\", \"tcp 443\"");
    out.push_back(*service);
  }
  return out;
}

NatKind nat_of(const json::value& value, const std::vector<std::string>& path) {
  const auto parsed = [&](const std::string& name) {
    const auto kind = NatKind::parse(name);
    if (!kind)
      throw FieldError(path,
                       "must be MAPPING[:PORTS]-FILTERING, with MAPPING linux, eim, adm or apdm, "
                       "PORTS keep, random or sequential, FILTERING eif, adf or apdf, such as "
                       "\"eim-apdf\"; not \"" +
                           name + "\"");
    return *kind;
  };
  if (value.is_string()) return parsed(std::string(value.get_string()));
  if (!value.is_object())
    throw FieldError(path, "must be a kind such as \"eim-apdf\", or an object that has one");
  Fields fields(value.get_object(), path);
  NatKind kind;
  if (const auto name = fields.text("kind")) kind = parsed(*name);
  kind.hairpin = fields.flag("hairpin").value_or(false);
  if (const auto seconds = fields.number("timeout_s", 1, 86'400))
    kind.timeout = std::chrono::seconds(std::llround(*seconds));
  fields.finish();
  return kind;
}

Site site_of(const std::string& name, const json::object& object, const Fields& all) {
  Fields fields(object, all.path_of(name));
  Site site;
  site.name = name;
  site.uplink = fields.text("uplink").value_or(kInternet);
  if (const json::value* nat = fields.get("nat"); nat && !nat->is_null())
    site.nat = nat_of(*nat, fields.path_of("nat"));
  site.firewall = fields.flag("firewall").value_or(true);
  site.allow_out = services_of(fields, "allow_out");
  site.allow_in = services_of(fields, "allow_in").value_or(std::vector<Service>());
  site.ipv4 = fields.flag("ipv4").value_or(true);
  if (const Prefix ipv6 = prefix_of_field(fields, "ipv6", false); ipv6.bits != 0) site.ipv6 = ipv6;
  site.wan = ipv4_of(fields, "wan");
  site.lan = prefix_of_field(fields, "lan", true);
  site.line = line_of_fields(fields, object);
  fields.finish();
  if (site.uplink != kInternet && !site.nat)
    fields.fail("uplink", "is another site's LAN, where only a site with \"nat\" can be");
  if (site.uplink != kInternet && site.ipv6)
    fields.fail("ipv6", "needs \"uplink\" to be the internet");
  if (!site.ipv4 && (site.nat || !site.ipv6))
    fields.fail("ipv4", "can be false only with \"ipv6\" and without \"nat\"");
  if (site.nat && !site.allow_in.empty())
    fields.fail("allow_in", "is for sites without \"nat\", which has its own filtering");
  return site;
}

void add_hosts(Topology& topology, const std::string& name, const json::object& object,
               const Fields& all) {
  Fields fields(object, all.path_of(name));
  Host host;
  host.site = fields.text("site").value_or(kInternet);
  host.ip = ipv4_of(fields, "ip");
  host.ipv6 = fields.flag("ipv6").value_or(false);
  host.ipv4 = fields.flag("ipv4").value_or(true);
  host.line = line_of_fields(fields, object);
  const auto count = fields.number("count", 1, static_cast<double>(kHostsMax));
  fields.finish();
  if (!host.ipv4 && !host.ipv6) fields.fail("ipv4", "can be false only if \"ipv6\" is true");
  if ((host.ipv6 || !host.ipv4) && host.site != kInternet)
    fields.fail("ipv6", "is the site's to say, for a host in one");
  if (count && host.ip != IpAddress()) fields.fail("ip", "cannot be one for several hosts");
  for (int i = 1; i <= static_cast<int>(count.value_or(1)); ++i) {
    host.name = count ? name + std::to_string(i) : name;
    check_name(all, host.name);
    if (topology.hosts.contains(host.name)) all.fail(name, "makes a second host " + host.name);
    topology.hosts[host.name] = host;
  }
}

Topology topology_of(const json::object& object) {
  Topology out;
  Fields top(object, {});
  if (const json::object* sites = top.object("sites")) {
    Fields all(*sites, {"sites"});
    for (const auto& member : *sites) {
      const std::string name(member.key());
      check_name(all, name);
      const json::object* site = all.object(name);
      out.sites[name] = site_of(name, *site, all);
    }
  }
  if (const json::object* hosts = top.object("hosts")) {
    Fields all(*hosts, {"hosts"});
    for (const auto& member : *hosts) {
      const std::string name(member.key());
      const json::object* host = all.object(name);
      add_hosts(out, name, *host, all);
    }
  }
  top.finish();
  return out;
}

std::string place(std::string_view text, const std::vector<std::string>& path) {
  std::string thing;
  for (const std::string& key : path) thing += (thing.empty() ? "" : ".") + key;
  const std::size_t line = line_of(text, path);
  return (line == 0 ? "" : "line " + std::to_string(line) + ": ") + thing + " ";
}

json::object line_json(const LineQuality& line) {
  const auto ms = [](Duration d) { return static_cast<double>(d.count()) / kMilliseconds; };
  return {{"delay_ms", ms(line.delay)},
          {"jitter_ms", ms(line.jitter)},
          {"loss_percent", line.loss * 100},
          {"rate_mbit", static_cast<double>(line.bits_per_second) / 1e6},
          {"mtu", line.mtu},
          {"reorder", line.reorder}};
}

json::array services_json(const std::vector<Service>& services) {
  json::array out;
  for (const Service& service : services) out.emplace_back(service.text());
  return out;
}

json::object site_json(const Site& site) {
  json::object out{{"uplink", site.uplink}, {"firewall", site.firewall}, {"ipv4", site.ipv4}};
  if (site.nat) {
    json::object nat{{"kind", site.nat->name()}, {"hairpin", site.nat->hairpin}};
    if (site.nat->timeout) nat["timeout_s"] = site.nat->timeout->count();
    out["nat"] = std::move(nat);
  }
  if (site.allow_out) out["allow_out"] = services_json(*site.allow_out);
  if (!site.allow_in.empty()) out["allow_in"] = services_json(site.allow_in);
  if (site.ipv6) out["ipv6"] = site.ipv6->text();
  if (site.wan != IpAddress()) out["wan"] = site.wan.text();
  if (site.lan.bits != 0) out["lan"] = site.lan.text();
  if (site.line)
    for (const auto& member : line_json(*site.line)) out[member.key()] = member.value();
  return out;
}

json::object host_json(const Host& host) {
  json::object out{{"site", host.site}};
  if (host.ip != IpAddress()) out["ip"] = host.ip.text();
  if (host.ipv6) out["ipv6"] = true;
  if (!host.ipv4) out["ipv4"] = false;
  if (host.line)
    for (const auto& member : line_json(*host.line)) out[member.key()] = member.value();
  return out;
}

}  // namespace

std::optional<Service> Service::parse(std::string_view text) {
  Service out;
  const std::size_t space = text.find(' ');
  out.protocol = std::string(text.substr(0, space));
  if (out.protocol != "udp" && out.protocol != "tcp" && out.protocol != "icmp") return std::nullopt;
  if (space == std::string_view::npos) return out;
  const std::string_view digits = text.substr(space + 1);
  if (out.protocol == "icmp" || digits.empty() || digits.size() > 5 ||
      digits.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  const int port = std::stoi(std::string(digits));
  if (port < 1 || port > 65535) return std::nullopt;
  out.port = static_cast<std::uint16_t>(port);
  return out;
}

std::string Service::text() const {
  return port ? protocol + " " + std::to_string(*port) : protocol;
}

Result<Topology> Topology::parse(std::string_view text) {
  const auto value = parse_commented_json(text);
  if (!value) return value.error();
  if (!value->is_object())
    return wrong("line 1: a topology is an object in braces with \"sites\" and \"hosts\"");
  try {
    return topology_of(value->get_object());
  } catch (const FieldError& error) {
    return wrong(place(*without_comments(text), error.path()) + error.what());
  }
}

json::object Topology::to_json() const {
  json::object all_sites, all_hosts;
  for (const auto& [name, site] : sites) all_sites[name] = site_json(site);
  for (const auto& [name, host] : hosts) all_hosts[name] = host_json(host);
  return {{"sites", std::move(all_sites)}, {"hosts", std::move(all_hosts)}};
}

Prefix Topology::prefix_of(const std::string& site) const {
  return site == kInternet ? *Prefix::parse(kInternetPrefix) : sites.at(site).lan;
}

std::optional<IpAddress> Topology::free_address(const std::string& where) const {
  const Prefix prefix = prefix_of(where);
  std::vector<IpAddress> taken;
  for (const auto& [name, site] : sites)
    if (site.uplink == where) taken.push_back(site.wan);
  for (const auto& [name, host] : hosts)
    if (host.site == where) taken.push_back(host.ip);
  for (std::uint64_t n = prefix.size() > 2 * kFirstHost ? kFirstHost : 2; n + 1 < prefix.size();
       ++n) {
    const IpAddress ip = prefix.at(n);
    if (std::find(taken.begin(), taken.end(), ip) == taken.end()) return ip;
  }
  return std::nullopt;
}

std::size_t Topology::neighbours() const {
  std::map<std::string, std::size_t> on;
  for (const auto& [name, site] : sites) {
    ++on[site.uplink];
    ++on[name];
  }
  for (const auto& [name, host] : hosts) ++on[host.site];
  std::size_t sum = 0;
  for (const auto& [network, machines] : on)
    if (!network.empty()) sum += machines * (machines - 1);
  return sum;
}

std::vector<std::string> Topology::sites_downwards() const {
  std::vector<std::string> out;
  const auto is_there = [&](const std::string& name) {
    return name == kInternet || std::find(out.begin(), out.end(), name) != out.end();
  };
  for (bool more = true; more;) {
    more = false;
    for (const auto& [name, site] : sites) {
      if (is_there(name) || !is_there(site.uplink)) continue;
      out.push_back(name);
      more = true;
    }
  }
  return out;
}

namespace {

// The LAN of a site that did not say it: what such networks usually have, and nobody has here yet.
void choose_lan(Topology& topology, Site& site) {
  const bool is_carrier =
      std::any_of(topology.sites.begin(), topology.sites.end(),
                  [&](const auto& other) { return other.second.uplink == site.name; });
  for (int n = 1; n < 256; ++n) {
    const std::string third = std::to_string(n) + ".0/24";
    // RFC 6598 (carriers), RFC 1918 (homes), RFC 2544 (true addresses that no network has).
    const auto lan = Prefix::parse((is_carrier ? "100.64."
                                    : site.nat ? "192.168."
                                               : "198.18.") +
                                   third);
    const bool is_taken =
        std::any_of(topology.sites.begin(), topology.sites.end(), [&](const auto& other) {
          return other.second.lan.bits != 0 && other.second.lan.overlaps(*lan);
        });
    if (is_taken) continue;
    site.lan = *lan;
    return;
  }
}

// Inside addresses of two NATs may be the same; all others must be different.
Result<void> check_lans(const Topology& topology) {
  const Prefix internet = *Prefix::parse(kInternetPrefix);
  for (const auto& [name, site] : topology.sites) {
    if (site.lan.overlaps(internet))
      return wrong("sites." + name + ".lan must not overlap the internet, " + internet.text());
    if (site.uplink != kInternet && site.lan.overlaps(topology.prefix_of(site.uplink)))
      return wrong("sites." + name + ".lan must not overlap that of its uplink " + site.uplink);
    if (site.nat) continue;
    for (const auto& [other_name, other] : topology.sites) {
      if (other_name != name && !other.nat && other.lan.overlaps(site.lan))
        return wrong("sites." + name + ".lan overlaps that of " + other_name +
                     ", and neither has a NAT: choose another");
    }
  }
  return {};
}

Result<void> check_address(const Topology& all, const std::string& thing, const std::string& where,
                           const IpAddress& ip) {
  const Prefix prefix = all.prefix_of(where);
  if (!prefix.contains(ip) || ip == prefix.at(0) || ip == prefix.at(1) ||
      ip == prefix.at(prefix.size() - 1))
    return wrong(thing + " must be an address in " + prefix.text() + " other than " +
                 prefix.at(1).text() + ", not " + ip.text());
  int holders = 0;
  for (const auto& [name, site] : all.sites) holders += site.uplink == where && site.wan == ip;
  for (const auto& [name, host] : all.hosts) holders += host.site == where && host.ip == ip;
  if (holders > 1) return wrong(thing + ": " + ip.text() + " is taken: choose another");
  return {};
}

Result<void> check_sizes_and_places(const Topology& all) {
  if (all.sites.size() > kSitesMax || all.hosts.size() > kHostsMax)
    return wrong("a laboratory has at most " + std::to_string(kSitesMax) + " sites and " +
                 std::to_string(kHostsMax) + " hosts");
  for (const auto& [name, site] : all.sites) {
    if (all.hosts.contains(name)) return wrong("a host and a site are both called " + name);
    if (site.uplink != kInternet && !all.sites.contains(site.uplink))
      return wrong("sites." + name + ".uplink: there is no site \"" + site.uplink + "\"");
  }
  if (all.sites_downwards().size() != all.sites.size())
    return wrong("the uplinks of sites go in a circle: one of them must be \"internet\"");
  for (const auto& [name, host] : all.hosts) {
    if (!host.site.empty() && host.site != kInternet && !all.sites.contains(host.site))
      return wrong("hosts." + name + ".site: there is no site \"" + host.site + "\"");
  }
  return {};
}

Error is_full(const std::string& where) {
  return wrong((where == kInternet ? "the internet" : "the LAN of site " + where) +
               " has no free address left: give it fewer hosts" +
               (where == kInternet ? "" : ", or a larger \"lan\""));
}

}  // namespace

Result<Topology> Topology::with(const Topology& more) const {
  Topology all = *this;
  for (const auto& [name, site] : more.sites)
    if (!all.sites.emplace(name, site).second) return wrong("there is a site " + name + " already");
  for (const auto& [name, host] : more.hosts)
    if (!all.hosts.emplace(name, host).second) return wrong("there is a host " + name + " already");
  if (auto checked = check_sizes_and_places(all); !checked) return checked.error();
  for (auto& [name, site] : all.sites)
    if (site.lan.bits == 0) choose_lan(all, site);
  if (auto checked = check_lans(all); !checked) return checked.error();
  for (auto& [name, site] : all.sites) {
    if (site.wan != IpAddress()) continue;
    const auto ip = all.free_address(site.uplink);
    if (!ip) return is_full(site.uplink);
    site.wan = *ip;
  }
  for (auto& [name, host] : all.hosts) {
    if (host.ip != IpAddress() || host.site.empty()) continue;
    const auto ip = all.free_address(host.site);
    if (!ip) return is_full(host.site);
    host.ip = *ip;
  }
  for (const auto& [name, site] : all.sites)
    if (auto ok = check_address(all, "sites." + name + ".wan", site.uplink, site.wan); !ok)
      return ok.error();
  for (const auto& [name, host] : all.hosts) {
    if (host.site.empty()) continue;
    if (auto ok = check_address(all, "hosts." + name + ".ip", host.site, host.ip); !ok)
      return ok.error();
  }
  return all;
}

std::string ipv6_like(const Prefix& prefix, const IpAddress& ip) {
  const std::string text = prefix.network.text();
  return text.substr(0, text.find("::")) + "::" + std::to_string(ip.v4_value() & 0xff);
}

Result<LineQuality> parse_line(const json::object& object, const LineQuality& was) {
  try {
    Fields fields(object, {});
    const LineQuality out = line_fields(fields, was);
    fields.finish();
    return out;
  } catch (const FieldError& error) {
    return wrong(place("", error.path()) + error.what());
  }
}

Result<NatKind> parse_nat(const json::value& value) {
  try {
    return nat_of(value, {"nat"});
  } catch (const FieldError& error) {
    return wrong(place("", error.path()) + error.what());
  }
}

}  // namespace wow::lab
