// The table [supervisor.api], and the addresses of supervisor.listen that it has to fit.
#pragma once

#include "supervisor/config/reader.h"
#include "units/unit_spec.h"

namespace keepwell::config {

void read_listen(Reader& supervisor, std::vector<std::string>& to);
void read_api(Reader& supervisor, SupervisorSpec& to);
// An address that others than this machine reach needs TLS or a proxy that has it. Whether there is
// a token is seen when keepwell starts.
void check_listen(Reader& supervisor, const SupervisorSpec&);

} // namespace keepwell::config
