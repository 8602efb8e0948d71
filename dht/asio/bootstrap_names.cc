#include "dht/asio/bootstrap_names.h"

#include <charconv>

#include "base/log.h"

namespace wow {

BootstrapNames::BootstrapNames(boost::asio::any_io_executor executor, Clock& clock,
                               const std::vector<std::string>& names, Handlers handlers,
                               std::string servers)
    : handlers_(std::move(handlers)),
      resolver_(std::move(executor), std::move(servers)),
      again_(clock) {
  for (const std::string& text : names) {
    const std::size_t colon = std::min(text.rfind(':'), text.size());
    Name name{text.substr(0, colon)};
    const std::string port = text.substr(std::min(colon + 1, text.size()));
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), name.port);
    const bool good = error == std::errc() && end == port.data() + port.size() && name.port != 0 &&
                      !name.host.empty();
    if (!good || names_.size() == kNamesMax) {
      log_warn("bootstrap ignored",
               {{"bootstrap", text},
                {"why", good ? "32 names are enough" : "not an address or name, and a port"}});
      continue;
    }
    names_.push_back(std::move(name));
  }
}

void BootstrapNames::start() {
  if (empty()) return;
  wait_ = kAgainFirst;
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
    return log_warn("bootstrap does not resolve",
                    {{"name", name.host},
                     {"why", name.trouble},
                     {"next",
                      "tried again; other bootstraps, members met before and the LAN are "
                      "asked meanwhile"}});
  }
  name.trouble.clear();
  std::vector<Endpoint> now;
  for (const IpAddress& ip : *result) {
    now.push_back({ip, name.port});
    handlers_.named(ip, name.host);
  }
  if (now == name.endpoints) return;
  name.endpoints = std::move(now);
  log_info("bootstrap resolved", {{"name", name.host},
                                  {"addresses", name.endpoints.size()},
                                  {"first", name.endpoints.front().text()}});
  std::vector<Endpoint> all;
  for (const Name& each : names_)
    all.insert(all.end(), each.endpoints.begin(), each.endpoints.end());
  handlers_.tell(all);
}

}  // namespace wow
