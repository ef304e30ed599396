// One check of a unit of systemd: what its ActiveState means. Pure.
#pragma once

#include "watchers/check_scheduler.h"

namespace keepwell {

Observation evaluate_systemd(const SystemdCheckSpec&, const std::string& active_state);

} // namespace keepwell
