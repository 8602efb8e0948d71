// Bootstraps that are names: resolved when the node starts, again while it is off the ring or
// alone, and when the network has changed. A name that does not resolve is said in the log once,
// and keeps the addresses it had. Where streams pass a proxy, which often is the only one that
// knows the world's names, one without addresses has stand-ins: addresses that nobody has, to be
// dialled through the proxy by their name. Executor's thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio/name_resolver.h"
#include "base/asio/proxy.h"
#include "base/clock.h"

namespace wow {

class BootstrapNames {
 public:
  static constexpr Duration kAgainFirst = 15s;  // doubles, while we are off the ring or alone
  static constexpr Duration kAgainMax = 10min;
  static constexpr std::size_t kNamesMax = 32;

  struct Handlers {
    std::function<void(const std::vector<Endpoint>&)> tell;  // what all names together stand for
    std::function<bool()> needed;                            // nobody who was reached is enough
    std::function<void()> failed = [] {};                    // a name has no address
    // An address that a name stands for.
    std::function<void(const IpAddress&, const std::string& name)> named = [](auto&, auto&) {};
  };
  // `names`: "NAME:PORT"; those that are not are said in the log. `proxy`: what streams pass.
  // `servers`: as for NameResolver.
  BootstrapNames(boost::asio::any_io_executor executor, Clock& clock,
                 const std::vector<std::string>& names, Handlers handlers,
                 std::optional<Proxy::Kind> proxy = {}, std::string servers = {});

  bool empty() const { return names_.empty(); }
  // Asks for all, now; also when the network has changed.
  void start();
  void stop() { again_.cancel(); }

 private:
  struct Name {
    std::string host = {};
    std::uint16_t port = 0;
    std::vector<Endpoint> endpoints = {};  // of the last answer, or stand-ins
    bool has_stand_ins = false;
    bool asking = false;
    std::string trouble = {};  // said in the log
  };
  void add_stand_ins(Proxy::Kind proxy);
  void ask();
  void tell_all();
  void on_answer(Name& name, Result<std::vector<IpAddress>> result);
  void tick();

  Handlers handlers_;
  NameResolver resolver_;
  std::vector<Name> names_;
  Duration wait_ = kAgainFirst;
  Timer again_;
};

}  // namespace wow
