// The tables of the history and how a file of an earlier version becomes one of this version. May
// throw SqlError; nothing is changed then.
#pragma once

#include "supervisor/history/sqlite.h"

#include <string>

namespace keepwell::history {

// From the file's version to kSchemaVersion, step by step in one transaction; a new file is made by
// all of them.
void migrate(Database&);

// Columns of a roll-up, in the order in which they are written and read.
inline constexpr int kRollUpColumns = 20;
std::string insert_roll_up(const std::string& table); // 1 = bucket, 2 = unit, 3… = the roll-up
std::string select_roll_up(const std::string& table); // by bucket and unit

} // namespace keepwell::history
