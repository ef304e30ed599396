// The monit control language as a plain value: what each service says, not yet what it means.
//
// Recursive descent without recursion over the input: nothing nests deeper than one statement. What
// the parser does not understand is noted with its line and skipped up to the next statement; so it
// always ends with a value.
#pragma once

#include "supervisor/import/monit_lexer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::importer {

struct MonitRate { // "for 3 cycles", "for 3 times within 5 cycles"
    std::uint64_t failures = 1;
    std::uint64_t of = 0; // 0 = in a row
};

enum class MonitTest { Connection, Resource, Restarts, Absent, Age, Size, Exit };
enum class MonitAction { Alert, Restart, Start, Stop, Unmonitor, Exec };

struct MonitConnection {
    std::string host, port, unix_path, protocol, request, method, content, send, expect;
    std::string status_operator, status;
    std::uint64_t timeout_s = 0;        // 0 = not said
    std::uint64_t certificate_days = 0; // "certificate valid > 30 days"
    bool tls = false, udp = false;
    std::vector<std::string> ignored; // words of it that have no counterpart
};

struct MonitAmount {
    std::string comparison; // ">", "<", "=" …
    std::string number, unit;
};

struct MonitRule {
    Place place;
    std::string text; // for notes
    MonitTest test = MonitTest::Absent;
    MonitConnection connection;
    std::string resource; // "cpu", "memory", "total memory"
    MonitAmount amount;
    std::uint64_t restarts = 0, cycles = 0;
    MonitRate rate;
    MonitAction action = MonitAction::Alert;
};

struct MonitProgram {
    Place place;
    std::string line, user, group;
    std::uint64_t timeout_s = 0;
};

struct MonitService {
    Place place;
    std::string type, name; // "process", "file" …
    std::string pidfile, matching, path, address;
    std::uint64_t timeout_s = 0; // of a program
    std::string user, group_of_user;
    std::optional<MonitProgram> start, stop, restart;
    std::vector<std::string> groups;
    std::vector<std::pair<std::string, Place>> depends;
    std::vector<MonitRule> rules;
    std::uint64_t every = 1;
    bool passive = false, manual = false;
};

struct MonitControl {
    std::optional<std::uint64_t> cycle_s; // set daemon
    std::vector<MonitService> services;
};

MonitControl parse_monit(MonitLexer&, Notes&);

} // namespace keepwell::importer
