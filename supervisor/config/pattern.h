// Whether a text is a regular expression (ECMAScript), found out by compiling it. Never throws.
#pragma once

#include "units/result.h"

#include <string>

namespace keepwell::config {

Status check_pattern(const std::string&);

} // namespace keepwell::config
