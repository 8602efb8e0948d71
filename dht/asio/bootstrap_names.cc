#include "dht/asio/bootstrap_names.h"

#include <algorithm>

#include "base/log.h"

namespace wow {

BootstrapNames::BootstrapNames(boost::asio::any_io_executor executor, Clock& clock,
                               const std::vector<std::string>& names, Handlers handlers,
                               std::optional<Proxy::Kind> proxy, std::string servers)
    : handlers_(std::move(handlers)),
      resolver_(std::move(executor), std::move(servers)),
      again_(clock) {
  for (const std::string& text : names) {
    const auto at = HostPort::parse(text);
    if (!at || names_.size() == kNamesMax) {
      log_warn("bootstrap ignored",
               {{"bootstrap", text},
                {"why", at ? "32 names are enough" : "not an address or name, and a port"}});
      continue;
    }
    names_.push_back({at->host, at->port});
  }
  if (proxy) add_stand_ins(*proxy);
}

// Of the reserved 240.0.0.0/4 (RFC 1112, 4). An HTTP proxy is for TLS alone (base/asio/proxy.h).
void BootstrapNames::add_stand_ins(Proxy::Kind proxy) {
  constexpr std::uint32_t kReserved = 0xf0000001;
  constexpr std::uint16_t kHttps = 443;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Name& name = names_[i];
    const IpAddress ip = IpAddress::v4(kReserved + static_cast<std::uint32_t>(i));
    if (proxy == Proxy::Kind::kSocks5) name.endpoints.push_back({ip, name.port, Carrier::kTcp});
    name.endpoints.push_back({ip, kHttps, Carrier::kTls});
    name.has_stand_ins = true;
    handlers_.named(ip, name.host);
  }
}

void BootstrapNames::start() {
  if (empty()) return;
  wait_ = kAgainFirst;
  // Streams are dialled after a moment, in which most names resolve.
  const bool has_stand_ins = std::ranges::any_of(names_, &Name::has_stand_ins);
  if (has_stand_ins) tell_all();
  ask();
  again_.after(wait_, [this] { tick(); });
}

void BootstrapNames::tick() {
  if (handlers_.needed()) {
    ask();
    wait_ = std::min<Duration>(wait_ * 2, kAgainMax);
  } else {
    wait_ = kAgainFirst;
  }
  again_.after(wait_, [this] { tick(); });
}

void BootstrapNames::ask() {
  for (Name& name : names_) {
    if (std::exchange(name.asking, true)) continue;
    resolver_.resolve(name.host,
                      [this, &name](auto result) { on_answer(name, std::move(result)); });
  }
}

void BootstrapNames::on_answer(Name& name, Result<std::vector<IpAddress>> result) {
  name.asking = false;
  if (!result) {
    handlers_.failed();
    if (name.trouble == result.error().message) return;
    name.trouble = result.error().message;
    const std::string meanwhile =
        name.has_stand_ins
            ? "the proxy is asked for it by name"
            : "tried again; other bootstraps, members met before and the LAN are asked meanwhile";
    return log_warn("bootstrap does not resolve",
                    {{"name", name.host}, {"why", name.trouble}, {"next", meanwhile}});
  }
  name.trouble.clear();
  std::vector<Endpoint> now;
  for (const IpAddress& ip : *result) {
    now.push_back({ip, name.port});
    handlers_.named(ip, name.host);
  }
  if (now == name.endpoints) return;
  name.endpoints = std::move(now);
  name.has_stand_ins = false;
  log_info("bootstrap resolved", {{"name", name.host},
                                  {"addresses", name.endpoints.size()},
                                  {"first", name.endpoints.front().text()}});
  tell_all();
}

void BootstrapNames::tell_all() {
  std::vector<Endpoint> all;
  for (const Name& each : names_)
    all.insert(all.end(), each.endpoints.begin(), each.endpoints.end());
  handlers_.tell(all);
}

}  // namespace wow
