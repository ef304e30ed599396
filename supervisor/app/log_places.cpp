// ControlImpl's part that knows where the lines of units are and has them read.
#include "supervisor/app/control_impl.h"

#include "supervisor/logs/log_names.h"

#include <filesystem>

namespace keepwell {

namespace {

std::string file_name(const std::string& path) {
    return std::filesystem::path(path).filename().string();
}

} // namespace

void Fleet::add_feed_sources(UnitIndex i, std::vector<feeds::FeedSource>& to) const {
    using Kind = feeds::FeedSource::Kind;
    const UnitSpec& spec = engine_.spec(i);
    const bool elsewhere = !spec.log_files.empty();
    const auto journal = journal_of(spec);
    // What keepwell captures of others is what their start command says; it is shown where it lies.
    const bool captured = spec.kind == UnitKind::Child || !spec.process.start_command.empty();
    if (captured || (!elsewhere && !journal))
        to.push_back({Kind::File, spec.key, spec.key, "stdout", {}});
    const std::string errors = errors_key(spec.key);
    if (captured && spec.log.separate_stderr && !engine_.find(errors))
        to.push_back({Kind::File, spec.key, errors, "stderr", {}});
    for (const auto& file : spec.log_files)
        to.push_back({Kind::File, spec.key, file, file_name(file), {}});
    if (journal) to.push_back({Kind::Journal, spec.key, journal->unit, "journal", *journal});
}

Result<feeds::LogPlaces> ControlImpl::log_places(const std::string& type) {
    feeds::LogPlaces places{p_.fleet.supervisor().log_dir, {}, p_.fleet.supervisor().redact};
    const bool every = type == "all" || type == "errors";
    if (every) {
        for (const std::string& key : p_.fleet.order())
            if (const auto i = p_.fleet.engine().find(key))
                p_.fleet.add_feed_sources(*i, places.sources);
        return places;
    }
    const auto i = one(type);
    if (!i) return i.error();
    p_.fleet.add_feed_sources(*i, places.sources);
    return places;
}

void ControlImpl::read_logs(std::shared_ptr<const feeds::LogPlaces> places,
                            feeds::LogQuestion question, LogsRead done) {
    log_reads_.read(std::move(places), std::move(question),
                    [this, done = std::move(done)](Result<feeds::LogPage> page) {
                        done(std::move(page));
                        if (p_.read) p_.read();
                    });
}

} // namespace keepwell
