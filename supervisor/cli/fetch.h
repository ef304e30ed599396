// Fetch: documents of the control API for verbs, with their errors already told.
#pragma once

#include "supervisor/cli/context.h"

#include <optional>
#include <string>
#include <vector>

namespace keepwell::cli {

// A document and, where it could not be had, the exit code that says why (already reported).
struct Fetched {
    std::optional<Json> document;
    int code = kExitError;
};

Fetched fetch(Context&, const std::string& path, const std::vector<std::string>& names = {});
// The status document: from the supervisor, or from its file where the socket may not be opened.
Fetched fetch_status(Context&);
// What the file says while nobody runs, with _file and _warning that say so; nullopt without one.
std::optional<Json> old_status(const Context&);
// The same, made by running every check of the configuration once.
Fetched status_once(Context&);
void print_json(Context&, const Json&);

} // namespace keepwell::cli
