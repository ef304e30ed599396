// Turns a ProcessSpec into the body of a SPAWN or TASK message.
#pragma once

#include "supervisor/keeper/link.h"
#include "units/unit_spec.h"

#include <optional>
#include <string>

namespace keepwell {

struct SpawnBody {
    std::string bytes; // to follow the message, or
    UniqueFd memfd;    // sealed, when they are many
    std::uint32_t size = 0;
    int error = 0; // errno: it cannot be told to the keeper (E2BIG, EINVAL, …)
};

struct OutputWish { // where stdout and stderr go
    LogMode mode = LogMode::Pipe;
    bool separate_errors = false;
    std::string path, errors_path; // with LogMode::File
};
OutputWish output_of(const LogSpec&, const std::string& key, const std::string& log_dir);

struct NotifyWish { // a socket for sd_notify messages
    bool socket = false;
    std::optional<Duration> within; // WATCHDOG_USEC
};

// unit is the value of KEEPWELL_UNIT; task that of KEEPWELL_TASK, empty for a daemon. The keeper
// finds left-overs by them and by KEEPWELL_FLEET, which it adds itself, so what the spec says about
// these variables is dropped.
SpawnBody spawn_body(const ProcessSpec&, const std::string& unit, const std::string& task,
                     const OutputWish&, const NotifyWish& = {});

} // namespace keepwell
