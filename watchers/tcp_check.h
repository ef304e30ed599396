// One TCP or unix check: the request it makes and what a result means. Pure.
#pragma once

#include "units/ports/tcp_probe.h"
#include "watchers/check_scheduler.h"

namespace keepwell {

TcpRequest tcp_request(const TcpCheckSpec&, Duration timeout);
TcpRequest unix_request(const UnixCheckSpec&, Duration timeout);

// Fills outcome, output, took and soft (a timeout).
Observation evaluate_tcp(const CheckSpec&, const TcpResult&);

} // namespace keepwell
