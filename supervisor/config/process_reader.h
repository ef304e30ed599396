// How a unit's process is started: command, user, directory, limits, log.
#pragma once

#include "supervisor/config/context.h"
#include "supervisor/config/reader.h"

namespace keepwell::config {

// All process keys of a unit. Takes them from the reader for every kind of unit, since exec checks
// of an external unit run as its user in its directory.
void read_process(Reader& unit, ProcessSpec& to, Context&);
void read_log(Reader& unit, LogSpec& to);

} // namespace keepwell::config
