// make-image and what it puts into a guest, carried inside the program.
#pragma once

#include <string_view>
#include <vector>

namespace wow {

struct GuestFile {
  std::string_view name, text;
};

const std::vector<GuestFile>& guest_files();

}  // namespace wow
