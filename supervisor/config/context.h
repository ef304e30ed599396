// What every part of one load shares.
#pragma once

#include "supervisor/config/messages.h"
#include "supervisor/config/users.h"

namespace keepwell::config {

struct Context {
    Messages& messages;
    UserTable& users;
    bool user_run = false;
    bool dry_run = false;
    // A file could not be read, so an unknown name may stand in it: do not complain about names.
    bool incomplete = false;
};

} // namespace keepwell::config
