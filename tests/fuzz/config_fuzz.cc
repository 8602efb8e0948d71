// The configuration file: options of every type, and a file that is anything but right.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/temporary_file.h"
#include "tools/cli/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const wow::TemporaryFile file(wow::ByteView(data, size));
  CLI::App app("", "wow");
  std::string name;
  int workers = 1;
  unsigned port = 0;
  bool flag = false;
  std::vector<std::string> bootstraps;
  CLI::App* up = app.add_subcommand("up", "");
  CLI::App* router = app.add_subcommand("router", "");
  up->add_option("--name", name, "");
  up->add_option("--workers", workers, "")->check(CLI::Range(1, 7));
  up->add_option("--bootstrap", bootstraps, "")->allow_extra_args(false);
  up->add_flag("--ignore-routes", flag, "");
  router->add_option("--listen", port, "");
  app.parse(std::vector<std::string>{"up"});
  const auto applied = wow::apply_config(*up, file.path(), router);
  assert(applied || !applied.error().message.empty());
  return 0;
}
