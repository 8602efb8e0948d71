// Addresses of host names by c-ares, which asks the name servers of /etc/resolv.conf and reads
// /etc/hosts itself: a static program has no getaddrinfo. Executor's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"

namespace wow {

class NameResolver {
 public:
  static constexpr std::size_t kAddressesMax = 16;  // of one name
  static constexpr std::size_t kQueriesMax = 32;    // at once

  using Done = std::function<void(Result<std::vector<IpAddress>>)>;

  // `servers`: "ADDRESS:PORT" to ask instead of resolv.conf's (tests); empty: those.
  explicit NameResolver(boost::asio::any_io_executor executor, std::string servers = {});
  // Queries under way end without a word.
  ~NameResolver();

  // IPv4 and IPv6 addresses of `name`, at most kAddressesMax; never called back from inside. An
  // error says what failed in a few words. Gives up after about 10 s. Beyond kQueriesMax:
  // kExhausted.
  void resolve(const std::string& name, Done done);
  // The same, awaited; an address stands for itself. None: there is none. The resolver outlives it.
  boost::asio::awaitable<std::vector<IpAddress>> addresses_of(const std::string& host);

 private:
  class Query;
  void forget(Query* query);

  boost::asio::any_io_executor executor_;
  std::string servers_;
  std::vector<std::shared_ptr<Query>> queries_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace wow
