// The keys of checks that ask what this host offers: dns, log, systemd, host.
#pragma once

#include "supervisor/config/reader.h"
#include "units/unit_spec.h"

namespace keepwell::config {

DnsCheckSpec read_dns(Reader&);
LogCheckSpec read_log_check(Reader&, CheckSpec&);
SystemdCheckSpec read_systemd_check(Reader&, bool user_run);
HostCheckSpec read_host(Reader&, CheckSpec&);

} // namespace keepwell::config
