// Checks: `check.ID = { … }` of a unit over [defaults.check] over the built-in values.
#pragma once

#include "supervisor/config/context.h"
#include "supervisor/config/reader.h"

namespace keepwell::config {

// Reports unknown and unusable keys of [defaults.check] even when no unit has a check.
void validate_check_defaults(const Node& defaults, Messages&);

// The unit's `check` table. Names in blames are as written: the caller resolves them.
std::vector<CheckSpec> read_checks(const Node& checks, const Node* defaults, const UnitSpec& unit,
                                   Context&);

} // namespace keepwell::config
