// One importer per format; import_file() of import.h is the door to them and catches what they
// throw.
#pragma once

#include "supervisor/import/import.h"

namespace keepwell::importer {

Result<Imported> import_monitor(const std::string& path, config::FileSource&);
Result<Imported> import_supervisord(const std::string& path, config::FileSource&);
Result<Imported> import_monit(const std::string& path, config::FileSource&);
Result<Imported> import_procfile(const std::string& path, config::FileSource&);

} // namespace keepwell::importer
