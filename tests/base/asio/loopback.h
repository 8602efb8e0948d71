// A namespace of its own, as each test has, begins with its loopback down.
#pragma once

namespace wow {

void bring_loopback_up();

}  // namespace wow
