// The keys of checks that look at this host: unix, process, port, file, resource.
#pragma once

#include "supervisor/config/reader.h"
#include "units/unit_spec.h"

namespace keepwell::config {

UnixCheckSpec read_unix(Reader&);
ProcessCheckSpec read_process_check(Reader&);
PortCheckSpec read_port(Reader&);
FileCheckSpec read_file(Reader&);
ResourceCheckSpec read_resource(Reader&);

// A check of the unit's own processes or output needs a unit that has some; says so at the check.
void check_kind_of_checks(Reader& unit, const UnitSpec&);

} // namespace keepwell::config
