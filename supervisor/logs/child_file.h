// Rotation of a log file that the child itself writes (log.mode = "file"): only its name changes,
// so the child must be told to open it anew.
#pragma once

#include "units/result.h"
#include "units/unit_spec.h"

#include <string>

namespace keepwell {

enum class ChildFile {
    Fine,
    Rotated,
    NotReopened, // it was rotated before, and its old file still grows: the child was not told
};

// Blocks as disks do. When KEY.log has reached its size it becomes KEY.log.SEQ, an empty KEY.log of
// the same owner and mode takes its place, and what is beyond `keep` is deleted.
Result<ChildFile> rotate_child_file(const std::string& dir, const std::string& key, const LogSpec&);

} // namespace keepwell
