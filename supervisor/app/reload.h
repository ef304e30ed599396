// Reload: load the files anew, refuse a bad configuration whole, apply only what changed.
#pragma once

#include "supervisor/app/fleet.h"

#include <functional>
#include <string>

namespace keepwell {

// The answer of /api/config/reload:
// {"added":[],"removed":[],"restarted":[],"updated":[],"unchanged":[],"frozen":[], "warnings":[]}.
// Error: every message of the loader, one a line; nothing was changed. loaded: what
// load_configuration gave. dry: apply nothing.
Result<std::string> apply_reload(Fleet&, LoadResult loaded, bool dry);

} // namespace keepwell
