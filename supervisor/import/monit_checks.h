// Tests of monit ("if … then …") as checks and policy keys of a unit.
//
// Every rule ends in the unit's table or in a note.
#pragma once

#include "supervisor/import/monit_parser.h"

namespace keepwell::importer {

class MonitChecks {
  public:
    // cycle_s: seconds between two looks of monit.
    MonitChecks(const MonitService& service, std::uint64_t cycle_s, TomlTable& unit, Notes& notes)
        : service_(service), cycle_s_(cycle_s), unit_(unit), notes_(notes) {}

    void add_all();

  private:
    void add(const MonitRule&);
    void restarts(const MonitRule&);
    void absent(const MonitRule&);
    void resource(const MonitRule&);
    void file(const MonitRule&);
    void program(const MonitRule&);
    void connection(const MonitRule&);
    void http(const MonitRule&, TomlTable& keys);
    bool tcp(const MonitRule&, TomlTable& keys);
    std::string status_set(const MonitRule&);
    // What all checks have: how often, how many failures, what then.
    void common(const MonitRule&, TomlTable& keys);
    void set(const std::string& type, const MonitRule&, TomlTable keys);
    void cannot(const MonitRule&, const std::string& why);
    bool is_process() const { return service_.type == "process"; }

    const MonitService& service_;
    std::uint64_t cycle_s_;
    TomlTable& unit_;
    Notes& notes_;
};

} // namespace keepwell::importer
