#include "supervisor/app/metrics_page.h"

#include "supervisor/metrics/page.h"

namespace keepwell {

MetricsPage::MetricsPage(Ports ports, bool read_well)
    : p_(std::move(ports)), started_at_(p_.clock.wall()), reload_ok_(read_well) {
    if (read_well) reloaded_at_ = started_at_;
}

void MetricsPage::reloaded(bool well) {
    reload_ok_ = well;
    if (well) reloaded_at_ = p_.clock.wall();
}

std::string MetricsPage::text() {
    const Instant now = p_.clock.now();
    if (made_at_ != Instant::min() && now - made_at_ < std::chrono::seconds(1)) return text_;
    text_ = make();
    made_at_ = now;
    return text_;
}

std::string MetricsPage::make() {
    metrics::PageInput in;
    in.units = p_.fleet.metrics_rows();
    for (metrics::UnitRow& row : in.units) {
        const LogTally& log = p_.logs.tally(row.spec->key);
        row.log_bytes = log.written;
        row.log_dropped = log.dropped;
    }
    in.version = KEEPWELL_VERSION;
    in.started_at = started_at_;
    in.reloaded_at = reloaded_at_;
    in.reload_ok = reload_ok_;
    if (const StatusWriter* writer = p_.writer()) {
        in.status_written_at = writer->last_written();
        in.status_errors = writer->errors();
    }
    in.loop_lag = &p_.fleet.loop_lag();
    in.host = &p_.metrics.host();
    in.self = &p_.metrics.self();
    in.api = p_.api();
    return metrics::write_page(in);
}

} // namespace keepwell
