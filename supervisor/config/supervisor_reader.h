// The [supervisor] table over the defaults of this kind of run.
#pragma once

#include "supervisor/config/config.h"
#include "supervisor/config/reader.h"

namespace keepwell::config {

// `table` may be null. The command line and KEEPWELL_STATUS_FILE win over the file.
SupervisorSpec read_supervisor(const Node* table, const LoadOptions&, Messages&);

} // namespace keepwell::config
