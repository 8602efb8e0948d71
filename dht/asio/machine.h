// Which machine this is: a copied disk image or folder must not become a second holder of one key.
#pragma once

#include <filesystem>

#include "base/error.h"

namespace wow {

inline constexpr const char* kMachineFile = "machine";
inline constexpr const char* kCopiedFile = "copied";  // there: this key is another machine's

// A line for each thing that tells machines apart and that we may read (machine-id(5); the DMI
// UUID, root only): its name and a hash. Both are taken over by `remember_machine` at joining.
std::string machine_marks();

// Whether marks of two moments can be the same machine's: none that both have differs.
bool same_machine(const std::string& before, const std::string& now);

// Writes the marks into a membership's folder.
Result<void> remember_machine(const std::filesystem::path& directory);
// The pool has said that another machine has this folder's key and was there first.
Result<void> remember_copied(const std::filesystem::path& directory);
bool pool_called_it_copied(const std::filesystem::path& directory);
// Whether that was said, or the folder was filled on another machine; a folder without marks is
// believed.
bool is_copied(const std::filesystem::path& directory);

}  // namespace wow
