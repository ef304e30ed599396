// MetricsPage: gathers what GET /metrics prints, and keeps the page for a second, so that however
// often it is asked for, it is made once a second at most.
//
// Gathers values that others have collected already: a scrape reads no file and asks nobody. On the
// loop.
#pragma once

#include "supervisor/api/api_counters.h"
#include "supervisor/app/fleet.h"
#include "supervisor/app/log_book.h"
#include "supervisor/app/metrics.h"
#include "supervisor/status/status_writer.h"

#include <functional>
#include <string>

namespace keepwell {

class MetricsPage {
  public:
    struct Ports {
        const Clock& clock;
        Fleet& fleet;
        const Metrics& metrics;
        const LogBook& logs;
        std::function<const StatusWriter*()> writer; // null before it began
        std::function<const ApiCounters*()> api;     // null when nobody can ask
    };
    // read_well: whether the configuration that it begins with is what the files say.
    MetricsPage(Ports, bool read_well);

    void reloaded(bool well); // the configuration was read anew
    std::string text();

  private:
    std::string make();

    Ports p_;
    WallTime started_at_, reloaded_at_;
    bool reload_ok_;
    std::string text_;
    Instant made_at_ = Instant::min();
};

} // namespace keepwell
