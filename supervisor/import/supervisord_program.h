// One [program:x] of supervisord as the table of a unit.
//
// The caller says by Expressions which copy of the program this is. Every option of the section
// ends in the table or in a note.
#pragma once

#include "supervisor/import/supervisord_ini.h"
#include "supervisor/import/supervisord_values.h"

#include <string>

namespace keepwell::importer {

// What [supervisord] says for every program.
struct SharedOptions {
    std::string folder; // of the configuration, absolute
    std::string user, umask, directory;
    Pairs environment;
};

struct ProgramContext {
    const SharedOptions& shared;
    const Expressions& expressions;
    std::string display; // of the unit when it is not its key, else ""
    std::string group;
    Notes& notes;
};

// Without the keys that need the other programs (after, instances). Nullopt, and a note, when there
// is nothing to run.
std::optional<TomlTable> program_table(IniSection program, const ProgramContext&);

} // namespace keepwell::importer
