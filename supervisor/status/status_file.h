// Replacing a file as a whole: blocking, for the thread pool.
//
// Internal to supervisor/status. A reader finds the old document or the new one, never a part: a
// new file in the same folder (O_EXCL, O_NOFOLLOW, mode 0644), a checked write, fsync, rename,
// fsync of the folder. On any error the old document stays and the new file is removed.
#pragma once

#include "units/result.h"

#include <string>
#include <string_view>

namespace keepwell::status_detail {

// "cannot write /x/status.json: No space left on device"; Error::code is the errno. A missing
// folder is made (0755) when its parent is there.
Status replace_file(const std::string& path, std::string_view content);
// Files that replace_file() left behind when its process was killed.
void remove_leftovers(const std::string& path) noexcept;
// What to do about it, for the end of a message; empty when there is nothing good to say.
std::string advice_for(int error, const std::string& path);

} // namespace keepwell::status_detail
