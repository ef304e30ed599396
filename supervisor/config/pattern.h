// Whether a text is a regular expression (RE2 syntax), found out by compiling it. Never throws.
#pragma once

#include "units/result.h"

#include <string>

namespace keepwell::config {

Status check_pattern(const std::string&);
// Also that it does not match everything by matching nothing.
Status check_redaction(const std::string&);

} // namespace keepwell::config
