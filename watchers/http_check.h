// One HTTP check: the request it makes and what an answer means. Pure.
#pragma once

#include "units/ports/http_client.h"
#include "watchers/check_scheduler.h"

namespace keepwell {

HttpRequest http_request(const HttpCheckSpec&, Duration timeout);

// Fills outcome, code (the status, 0 without an answer), output, took and soft. Failures come
// before slowness: only an answer that is as expected in every respect can be "slow".
Observation evaluate_http(const CheckSpec&, const HttpCheckSpec&, const HttpResult&);

} // namespace keepwell
