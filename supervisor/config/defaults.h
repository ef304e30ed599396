// Where keepwell puts things when nobody says otherwise: system folders for root, XDG folders for
// a user run.
#pragma once

#include "units/unit_spec.h"

namespace keepwell::config {

SupervisorSpec default_supervisor(bool user_run);

} // namespace keepwell::config
