// Restart policies: [policy.NAME] over [policy.default] over the built-in values.
#pragma once

#include "supervisor/config/reader.h"

namespace keepwell::config {

// Takes every policy key from the reader; the rest of the table (a unit's other keys) is not
// touched. The caller sets the name.
Policy read_policy(Reader&);

// Marks every policy key as known to a reader of a unit's table.
void note_policy_keys(Reader& unit);

// The policy keys among a unit's keys, as a table to merge over its policy.
Node policy_keys_of(const Node& unit);

} // namespace keepwell::config
