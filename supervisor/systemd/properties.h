// From the properties of a D-Bus message into a SystemdUnitState.
//
// Reads with libsystemd's own functions, since sdbus-c++ 1.2 can skip nothing: a unit has more than
// three hundred properties, and making a variant of each costs ten times the rest. What has another
// type than expected is skipped; a message that ends early or is no dictionary is an error. Throws
// sdbus::Error, to be caught where the message came from.
#pragma once

#include "units/ports/systemd_bus.h"

#include <sdbus-c++/Message.h>

namespace keepwell::systemd {

// At a{sv}: GetAll's answer, or the middle of PropertiesChanged.
void read_properties(sdbus::Message&, SystemdUnitState&);
// At as, the names that PropertiesChanged only calls stale: is one of those among them that we
// keep?
bool names_a_known_property(sdbus::Message&);

// What on_state() tells: everything but the figures.
bool same_state(const SystemdUnitState&, const SystemdUnitState&);

} // namespace keepwell::systemd
