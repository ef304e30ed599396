// What opendir gave, closed at its end.
#pragma once

#include <dirent.h>
#include <memory>

namespace keepwell {

struct DirCloser {
    void operator()(DIR* d) const noexcept { closedir(d); }
};
using Dir = std::unique_ptr<DIR, DirCloser>;

} // namespace keepwell
