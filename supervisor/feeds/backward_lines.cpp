#include "supervisor/feeds/backward_lines.h"

#include "supervisor/feeds/backward_file.h"
#include "supervisor/feeds/backward_journal.h"
#include "supervisor/logs/log_names.h"

#include <sys/stat.h>

namespace keepwell::feeds {

std::unique_ptr<BackwardLines> read_backward(const std::string& log_dir, const FeedSource& source,
                                             BackwardStart start, ReadBudget& budget) {
    switch (source.kind) {
    case FeedSource::Kind::Journal:
        return std::make_unique<BackwardJournal>(*source.journal, std::move(start), budget);
    case FeedSource::Kind::File: break;
    }
    return std::make_unique<BackwardFile>(log_dir, source.name, std::move(start), budget);
}

std::optional<std::int64_t> changed_ms(const std::string& log_dir, const FeedSource& source) {
    struct stat info {};
    if (source.kind == FeedSource::Kind::Journal ||
        ::lstat(log_path(log_dir, source.name).c_str(), &info) != 0)
        return std::nullopt;
    return std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
}

} // namespace keepwell::feeds
