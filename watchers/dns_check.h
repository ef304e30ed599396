// One DNS check: the question it asks and what an answer means. Pure.
#pragma once

#include "units/ports/dns_client.h"
#include "watchers/check_scheduler.h"

namespace keepwell {

DnsRequest dns_request(const DnsCheckSpec&, Duration timeout);

// Fills outcome, output, took and soft (a timeout).
Observation evaluate_dns(const CheckSpec&, const DnsCheckSpec&, const DnsResult&);

} // namespace keepwell
