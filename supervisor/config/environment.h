// The environment of a child: a clean one of its user, plus what the unit asks for.
//
// Later ones win: the clean environment, inherit_environment, env_file, environment.
#pragma once

#include "supervisor/config/context.h"
#include "supervisor/config/reader.h"

#include <map>
#include <string>
#include <vector>

namespace keepwell::config {

using Environment = std::map<std::string, std::string>;

// PATH, HOME, USER, LOGNAME, LANG and XDG_RUNTIME_DIR.
Environment clean_environment(const UserSpec&, bool user_run);

// "NAME=value" lines; blank lines and those that start with # are skipped, "export " and one pair
// of quotes are taken off. The error names the line.
Result<Environment> parse_env_file(const std::string& text);

// inherit_environment, env_file and environment of a unit; sorted "K=V".
std::vector<std::string> read_environment(Reader& unit, const UserSpec&, Context&);

// Whether the kernel will take this command with this environment; reported at the unit's keys.
void check_sizes(const Node& unit, const ProcessSpec&, Messages&);

} // namespace keepwell::config
