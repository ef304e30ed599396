// The last configuration that loaded without an error, kept in state_dir as one file.
//
// The bundle holds the text of every file that was read, with absolute names; ${VAR}, env_file and
// KEY_file are looked up anew when it is loaded, so no secret is copied that was not in the text
// itself (mode 0600 all the same). Saving is atomic and durable: temporary file, fsync, rename,
// fsync of the folder.
#pragma once

#include "supervisor/config/config.h"

#include <string>
#include <vector>

namespace keepwell {

// The texts as they are on disk now. Prefer the other one, which saves what was really loaded.
Status save_last_good(const std::string& state_dir, const std::vector<std::string>& files);
Status save_last_good(const std::string& state_dir, const LoadResult& loaded);

// `options.files` is ignored. A missing or damaged bundle is one error in the result.
LoadResult load_last_good(const std::string& state_dir, const LoadOptions& options);
LoadResult load_last_good(const std::string& state_dir);

std::string last_good_file(const std::string& state_dir);

} // namespace keepwell
