// The library in one page: joins a pool, stores and reads a value, greets a member (or itself).
// Usage: hello_node DIRECTORY [ADDRESS]; DIRECTORY is what `wow join --directory` filled.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>

#include "dht/asio/router.h"

namespace asio = boost::asio;

asio::awaitable<void> hello(wow::Router& router, std::string directory, const char* friend_hex) {
  // A variable, because g++ 12 destroys a list's members twice inside co_await (GCC bug 98401).
  const wow::RouterOptions options{.directory = directory, .allow_loopback = true};
  const auto joined = co_await router.join(options, asio::use_awaitable);
  if (!joined) co_return void(std::cerr << joined.error().message << "\n");
  const wow::Address self = router.status().address;
  std::cout << "joined as " << self.hex() << std::endl;
  router.on_message(16, [&router](const wow::Address& from, wow::ByteView text) {
    std::cout << from.short_hex() << " says: " << wow::to_string(text) << std::endl;
    router.stop();
  });
  const std::string key = "hello/" + self.short_hex();
  const wow::Bytes value = wow::to_bytes("hello, ring");
  const auto put = co_await router.put(key, value, std::chrono::seconds(60), asio::use_awaitable);
  if (!put) co_return void(std::cerr << put.error().message << "\n");
  const auto got = co_await router.get(key, asio::use_awaitable);
  if (got) std::cout << key << " = " << wow::to_string(got->data) << std::endl;
  const auto to = wow::Address::from_hex(friend_hex ? friend_hex : self.hex());
  if (to) router.send(*to, 16, wow::view_of("good morning"));
}

int main(int argc, char** argv) {
  asio::io_context io;
  wow::Router router(io.get_executor());
  if (argc > 1) asio::co_spawn(io, hello(router, argv[1], argv[2]), asio::detached);
  io.run();
}
