#include "tools/lab/grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>

#include "tools/cli/config.h"
#include "tools/cli/fields.h"
#include "tools/cli/table.h"

namespace wow::lab {

namespace json = boost::json;

namespace {

std::vector<GridKind> make_kinds() {
  std::vector<GridKind> out;
  std::vector<std::string> nats = nat_kind_names();
  nats.insert(nats.end(), {"adm:sequential-apdf", "apdm:sequential-apdf"});
  for (const std::string& name : nats)
    out.push_back({name, NatKind::parse(name)->words(), "\"nat\": \"" + name + "\""});
  out.push_back({"double-nat", "a NAT behind a carrier's, both eim-apdf", R"("nat": "eim-apdf")",
                 R"("nat": "eim-apdf")"});
  out.push_back({"firewall", "no NAT, only answers come in", R"("firewall": true)"});
  out.push_back({"open", "no NAT, everything comes in", R"("firewall": false)"});
  out.push_back({"ipv6-only", "no IPv4; a firewall", R"("ipv4": false)"});
  out.push_back({"no-udp", "eim-apdf, and no UDP goes out",
                 R"("nat": "eim-apdf", "allow_out": ["tcp", "icmp"])"});
  out.push_back({"tcp-443", "eim-apdf, and only TCP to port 443 goes out",
                 R"("nat": "eim-apdf", "allow_out": ["tcp 443"])"});
  out.push_back(
      {"proxy", "eim-apdf, and only an HTTP proxy lets out, to port 443",
       R"("nat": "eim-apdf", "allow_out": ["tcp )" + std::to_string(kGridProxyPort) + R"("])", "",
       false, "--proxy http://PROXY:" + std::to_string(kGridProxyPort)});
  out.push_back({"proxy-password", "the same, with a password",
                 R"("nat": "eim-apdf", "allow_out": ["tcp )" +
                     std::to_string(kGridPasswordProxyPort) + R"("])",
                 "", false,
                 "--proxy http://lab:secret@PROXY:" + std::to_string(kGridPasswordProxyPort)});
  out.push_back({"same-nat", "both behind one eim-apdf", R"("nat": "eim-apdf")", "", true});
  out.push_back({"same-hairpin", "both behind one eim-apdf that turns packets round",
                 R"("nat": {"kind": "eim-apdf", "hairpin": true})", "", true});
  return out;
}

std::string line_fields() { return "\"delay_ms\": " + std::to_string(kGridDelayMs / 2); }

// The site or sites of one side.
std::string side(const GridKind& kind, const std::string& name, int number) {
  std::string fields = kind.site;
  if (kind.name == "ipv6-only")
    fields += ", \"ipv6\": \"2001:db8:" + std::to_string(number) + "::/64\"";
  if (kind.carrier.empty()) return "\"" + name + "\": {" + fields + ", " + line_fields() + "}";
  return "\"" + name + "-isp\": {" + kind.carrier + ", " + line_fields() + "}, \"" + name +
         "\": {" + fields + ", \"uplink\": \"" + name + "-isp\"}";
}

Topology made(const std::string& text) {
  auto topology = Topology::parse(text);
  if (!topology) throw std::logic_error(topology.error().message);
  return std::move(*topology);
}

std::string rounded(const std::optional<double>& ms) {
  if (!ms) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.0f ms", *ms);
  return text;
}

// "358 ms, at most 3.1 round trips of the ring, half within 2.6"; without round trips where none
// was measured.
std::string slowest(const std::vector<GridRow>& rows, std::optional<double> GridRow::*time) {
  double most = 0;
  std::vector<double> in_ring;
  for (const GridRow& row : rows) {
    most = std::max(most, (row.*time).value_or(0));
    if (row.ring_ms && row.*time) in_ring.push_back(*(row.*time) / *row.ring_ms);
  }
  if (in_ring.empty()) return rounded(most);
  std::ranges::sort(in_ring);
  char text[80];
  std::snprintf(text, sizeof text, ", at most %.1f round trips of the ring, half within %.1f",
                in_ring.back(), in_ring[(in_ring.size() - 1) / 2]);
  return rounded(most) + text;
}

constexpr std::array kPaths = {"direct", "stream", "relayed", "routed", "unreachable"};

const char* fill_of(const std::string& path) {
  if (path == "direct") return "#2e8b57";
  if (path == "stream") return "#3a7ebf";
  if (path == "relayed") return "#e0b030";
  if (path == "routed") return "#e07b30";
  return path == "unreachable" ? "#b03030" : "#bbbbbb";
}

}  // namespace

const std::vector<GridKind>& grid_kinds() {
  static const std::vector<GridKind> kinds = make_kinds();
  return kinds;
}

Result<std::vector<GridKind>> parse_grid_kinds(const std::string& names) {
  if (names.empty()) return grid_kinds();
  std::vector<GridKind> out;
  std::vector<std::string> known;
  for (const GridKind& kind : grid_kinds()) known.push_back(kind.name);
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t comma = std::min(names.find(',', at), names.size());
    const std::string name = names.substr(at, comma - at);
    at = comma + 1;
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      const std::string meant = nearest_word(name, known);
      return Error{ErrorCode::kInvalidArgument,
                   "there is no kind \"" + name + "\"" +
                       (meant.empty() ? ": `wow lab grid --list` names them"
                                      : "; did you mean \"" + meant + "\"?")};
    }
    out.push_back(grid_kinds()[static_cast<std::size_t>(found - known.begin())]);
  }
  return out;
}

std::vector<std::pair<GridKind, GridKind>> grid_pairs(const std::vector<GridKind>& kinds,
                                                      const GridKind& against) {
  std::vector<std::pair<GridKind, GridKind>> out;
  for (const GridKind& a : kinds) out.emplace_back(a, a.shared ? a : against);
  return out;
}

std::vector<std::pair<GridKind, GridKind>> grid_pairs(const std::vector<GridKind>& kinds) {
  std::vector<std::pair<GridKind, GridKind>> out;
  for (const GridKind& a : kinds)
    for (const GridKind& b : kinds)
      if ((!a.shared && !b.shared) || a.name == b.name) out.emplace_back(a, b);
  return out;
}

Topology grid_topology(const GridKind& a, const GridKind& b) {
  const std::string sites =
      side(a, "left", 1) + (a.shared ? std::string() : ", " + side(b, "right", 2));
  return made("{\"sites\": {" + sites + "}, \"hosts\": {\"a\": {\"site\": \"left\"}, \"b\": " +
              "{\"site\": \"" + (a.shared ? "left" : "right") + "\"}}}");
}

Topology grid_routers(std::size_t count) {
  return made("{\"hosts\": {\"r\": {\"ipv6\": true, " + line_fields() +
              ", \"count\": " + std::to_string(count) + "}}}");
}

json::object GridRow::to_json() const {
  const auto maybe = [](const std::optional<double>& ms) {
    return ms ? json::value(std::round(*ms * 10) / 10) : json::value(nullptr);
  };
  return {{"from", from},
          {"to", to},
          {"path", path},
          {"ring_round_trip_ms", maybe(ring_ms)},
          {"first_packet_ms", maybe(first_ms)},
          {"relayed_ms", maybe(relayed_ms)},
          {"direct_ms", maybe(direct_ms)},
          {"sent", sent},
          {"lost", lost},
          {"checks", checks},
          {"note", note}};
}

std::optional<GridRow> GridRow::from_json(const json::object& object) {
  GridRow row;
  row.from = text(object, "from");
  row.to = text(object, "to");
  row.path = text(object, "path");
  row.note = text(object, "note");
  if (row.from.empty() || row.to.empty() || row.path.empty()) return std::nullopt;
  const auto maybe = [&](const char* key) {
    const json::value* value = object.if_contains(key);
    return value && value->is_number() ? std::optional(number(object, key)) : std::nullopt;
  };
  row.ring_ms = maybe("ring_round_trip_ms");
  row.first_ms = maybe("first_packet_ms");
  row.relayed_ms = maybe("relayed_ms");
  row.direct_ms = maybe("direct_ms");
  row.sent = static_cast<int>(number(object, "sent"));
  row.lost = static_cast<int>(number(object, "lost"));
  row.checks = static_cast<std::uint64_t>(number(object, "checks"));
  return row;
}

std::string grid_table(const std::vector<GridRow>& rows, bool colour) {
  Table table(
      {"FROM", "TO", "PATH", "RING", "FIRST", "RELAYED", "DIRECT", "LOST", "CHECKS", "NOTE"});
  for (const GridRow& row : rows) {
    table.add({row.from, row.to, row.path, rounded(row.ring_ms), rounded(row.first_ms),
               rounded(row.relayed_ms), rounded(row.direct_ms),
               std::to_string(row.lost) + " of " + std::to_string(row.sent),
               std::to_string(row.checks), row.note});
  }
  return table.text(colour);
}

std::string grid_summary(const std::vector<GridRow>& rows) {
  std::map<std::string, int> paths;
  int lossless = 0;
  double direct = 0;
  for (const GridRow& row : rows) {
    ++paths[row.path];
    lossless += row.first_ms && row.lost == 0;
    direct = std::max(direct, row.direct_ms.value_or(0));
  }
  std::string out = std::to_string(rows.size()) + " pairs: ";
  for (const char* path : kPaths)
    out +=
        std::to_string(paths[path]) + " " + path + (std::string(path) == "unreachable" ? "" : ", ");
  if (paths["unmeasured"] > 0) out += ", " + std::to_string(paths["unmeasured"]) + " unmeasured";
  out += "; " + std::to_string(lossless) + " lost nothing; the slowest first packet took " +
         slowest(rows, &GridRow::first_ms);
  const auto any = [&](std::optional<double> GridRow::*time) {
    return std::ranges::any_of(rows, [=](const GridRow& row) { return (row.*time).has_value(); });
  };
  if (any(&GridRow::relayed_ms))
    out += ", the slowest relayed path " + slowest(rows, &GridRow::relayed_ms);
  if (any(&GridRow::direct_ms)) out += ", the slowest direct path " + rounded(direct);
  return out;
}

std::string grid_svg(const std::vector<GridRow>& rows) {
  constexpr int kCell = 26, kMargin = 150, kLegend = 60;
  std::vector<std::string> names;
  for (const GridRow& row : rows)
    for (const std::string* name : {&row.from, &row.to})
      if (std::find(names.begin(), names.end(), *name) == names.end()) names.push_back(*name);
  const auto place = [&](const std::string& name) {
    return kMargin +
           kCell * static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const auto number_text = [](int n) { return std::to_string(n); };
  const int size = kMargin + kCell * static_cast<int>(names.size()) + 10;
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number_text(size) +
                    "\" height=\"" + number_text(size + kLegend) +
                    "\" font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" "
                    "height=\"100%\" fill=\"white\"/>\n";
  for (const std::string& name : names) {
    const int middle = place(name) + kCell / 2;
    out += "<text x=\"" + number_text(kMargin - 6) + "\" y=\"" + number_text(middle + 4) +
           "\" text-anchor=\"end\">" + name + "</text>\n<text transform=\"translate(" +
           number_text(middle + 4) + "," + number_text(kMargin - 6) + ") rotate(-90)\">" + name +
           "</text>\n";
  }
  for (const GridRow& row : rows) {
    const int x = place(row.to), y = place(row.from);
    out += "<rect x=\"" + number_text(x) + "\" y=\"" + number_text(y) + "\" width=\"" +
           number_text(kCell - 1) + "\" height=\"" + number_text(kCell - 1) + "\" fill=\"" +
           fill_of(row.path) + "\"><title>" + row.from + " to " + row.to + ": " + row.path +
           ", first packet " + rounded(row.first_ms) + ", relayed " + rounded(row.relayed_ms) +
           ", direct " + rounded(row.direct_ms) + ", lost " + std::to_string(row.lost) +
           "</title></rect>\n";
    if (row.direct_ms) {
      char seconds[16];
      std::snprintf(seconds, sizeof seconds, "%.1f", *row.direct_ms / 1000);
      out += "<text x=\"" + number_text(x + kCell / 2) + "\" y=\"" +
             number_text(y + kCell / 2 + 3) +
             "\" font-size=\"9\" fill=\"white\" text-anchor=\"middle\">" + seconds + "</text>\n";
    }
  }
  int x = kMargin;
  for (const char* path : kPaths) {
    out += "<rect x=\"" + number_text(x) + "\" y=\"" + number_text(size) +
           "\" width=\"14\" height=\"14\" fill=\"" + fill_of(path) + "\"/><text x=\"" +
           number_text(x + 18) + "\" y=\"" + number_text(size + 11) + "\">" + path + "</text>\n";
    x += 95;
  }
  return out + "<text x=\"" + number_text(kMargin) + "\" y=\"" + number_text(size + 34) +
         "\">rows send to columns; numbers: seconds until direct</text>\n</svg>\n";
}

}  // namespace wow::lab
