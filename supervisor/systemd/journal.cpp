#include "supervisor/systemd/journal.h"

#include "supervisor/systemd/unit_names.h"

#include <systemd/sd-journal.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace keepwell::systemd {

namespace {

constexpr const char* kCoredump = "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1";
constexpr std::uint64_t kLookMs =
    1000; // where the journal cannot tell of new lines (network disks)

struct JournalCloser {
    void operator()(sd_journal* j) const noexcept { sd_journal_close(j); }
};
using Handle = std::unique_ptr<sd_journal, JournalCloser>;

Error cannot(const std::string& why, int code = 0) {
    return {"cannot read the journal: " + why, code};
}
Error cannot(int error) {
    return cannot(std::strerror(error), error); // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

// One alternative: all of these, or what was added before.
int alternative(sd_journal* j, std::initializer_list<std::string> all) {
    int rc = sd_journal_add_disjunction(j);
    for (const auto& match : all)
        if (rc >= 0) rc = sd_journal_add_match(j, match.data(), match.size());
    return rc;
}

// What a unit wrote, what its manager says of it, and its core dumps.
int match_unit(sd_journal* j, const JournalQuery& query) {
    const std::string& unit = query.unit;
    int rc = 0;
    if (query.uid) {
        const std::string uid = "_UID=" + std::to_string(*query.uid);
        rc = alternative(j, {"_SYSTEMD_USER_UNIT=" + unit, uid});
        if (rc >= 0) rc = alternative(j, {"USER_UNIT=" + unit, uid});
        if (rc >= 0) rc = alternative(j, {kCoredump, "COREDUMP_USER_UNIT=" + unit, uid});
    } else {
        rc = alternative(j, {"_SYSTEMD_UNIT=" + unit});
        if (rc >= 0) rc = alternative(j, {"_PID=1", "UNIT=" + unit});
        if (rc >= 0) rc = alternative(j, {kCoredump, "_UID=0", "COREDUMP_UNIT=" + unit});
    }
    return rc;
}

bool has_files(const std::string& folder) {
    std::error_code ignored;
    const std::filesystem::directory_iterator entries(folder, ignored);
    return entries != std::filesystem::directory_iterator();
}

std::string folder_of(const JournalQuery& query) {
    if (!query.directory.empty()) return query.directory;
    const char* named = ::secure_getenv("KEEPWELL_JOURNAL_DIR");
    return named == nullptr ? "" : named;
}

Error nothing_to_read(const std::string& folder) {
    if (!folder.empty()) return cannot("there are no journal files in " + folder);
    if (has_files("/run/log/journal") || has_files("/var/log/journal"))
        return cannot("none of its files may be opened; run as root or as a member of the group "
                      "systemd-journal");
    return cannot("there is none on this machine; does systemd-journald run?");
}

Result<Handle> open(const JournalQuery& query) {
    if (!valid_unit_name(query.unit))
        return cannot("\"" + query.unit.substr(0, 300) + "\" is no name of a systemd unit");
    sd_journal* made = nullptr;
    const std::string folder = folder_of(query);
    const int opened = folder.empty() ? sd_journal_open(&made, SD_JOURNAL_LOCAL_ONLY)
                                      : sd_journal_open_directory(&made, folder.c_str(), 0);
    Handle handle(made);
    if (opened < 0) return cannot(-opened);
    std::uint64_t bytes = 0;
    if (sd_journal_get_usage(made, &bytes) < 0 || bytes == 0) return nothing_to_read(folder);
    if (const int rc = match_unit(made, query); rc < 0) return cannot(-rc);
    sd_journal_set_data_threshold(made, kLongestLine);
    return handle;
}

// The value of a field of the current entry; nullopt when it has none or is damaged.
std::optional<std::string> field(sd_journal* j, const char* name) {
    const void* data = nullptr;
    std::size_t size = 0;
    const std::size_t skip = std::strlen(name) + 1; // NAME=
    if (sd_journal_get_data(j, name, &data, &size) < 0 || size < skip) return std::nullopt;
    const std::string_view value(static_cast<const char*>(data) + skip, size - skip);
    return std::string(value.substr(0, kLongestLine));
}

std::optional<JournalLine> current(sd_journal* j) {
    auto text = field(j, "MESSAGE");
    std::uint64_t usec = 0;
    char* cursor = nullptr;
    if (!text || sd_journal_get_realtime_usec(j, &usec) < 0 ||
        sd_journal_get_cursor(j, &cursor) < 0)
        return std::nullopt;
    const std::unique_ptr<char, decltype(&std::free)> owner(cursor, &std::free);
    JournalLine line;
    line.time.ms = static_cast<std::int64_t>(usec / 1000);
    if (const auto p = field(j, "PRIORITY");
        p && p->size() == 1 && (*p)[0] >= '0' && (*p)[0] <= '7')
        line.priority = (*p)[0] - '0';
    line.text = std::move(*text);
    line.cursor = cursor;
    return line;
}

bool wanted(const JournalLine& line, const JournalQuery& query) {
    return line.time >= query.since && line.priority <= query.priority;
}

// Behind the last entry there is, so that next() gives only what comes.
void go_to_end(sd_journal* j) {
    sd_journal_seek_tail(j);
    if (sd_journal_previous(j) <= 0) sd_journal_seek_head(j); // none yet: whatever comes is new
}

// So that previous() gives the last line that is asked for.
Status go_before(sd_journal* j, const JournalQuery& query) {
    int rc = 0;
    if (!query.before.empty())
        rc = sd_journal_seek_cursor(j, query.before.c_str());
    else if (query.until.ms != 0) // of that millisecond all
        rc = sd_journal_seek_realtime_usec(
            j, static_cast<std::uint64_t>(std::max<std::int64_t>(query.until.ms, 0)) * 1000 + 999);
    else
        sd_journal_seek_tail(j);
    if (rc == -EINVAL)
        return cannot("this is no cursor of a journal: " + query.before.substr(0, 200), EINVAL);
    return rc < 0 ? Status(cannot(-rc)) : Status(Done{});
}

Result<JournalPage> last_lines(sd_journal* j, const JournalQuery& query) {
    JournalPage page;
    if (const auto there = go_before(j, query); !there) return there.error();
    int rc = 0;
    std::size_t damaged = 0; // they count, so that a damaged file does not make this read all of it
    while (page.lines.size() + damaged < query.lines && (rc = sd_journal_previous(j)) > 0) {
        if (page.lines.empty() && !query.before.empty() &&
            sd_journal_test_cursor(j, query.before.c_str()) > 0)
            continue;
        auto line = current(j);
        damaged += line ? 0 : 1;
        if (line && line->time < query.since) break;
        if (line && wanted(*line, query)) page.lines.push_back(std::move(*line));
    }
    if (rc < 0) return cannot(-rc);
    page.older = rc > 0 && page.lines.size() + damaged >= query.lines;
    std::reverse(page.lines.begin(), page.lines.end());
    if (page.lines.empty()) {
        go_to_end(j);
    } else {
        sd_journal_seek_cursor(j, page.lines.back().cursor.c_str());
        sd_journal_next(j);
    }
    return page;
}

Result<JournalPage> next_lines(sd_journal* j, const JournalQuery& query) {
    JournalPage page;
    int rc = 0;
    for (std::size_t n = 0; n < query.lines && (rc = sd_journal_next(j)) > 0; ++n) {
        auto line = current(j);
        if (line && wanted(*line, query)) page.lines.push_back(std::move(*line));
    }
    if (rc < 0) return cannot(-rc);
    page.more = rc > 0;
    return page;
}

Status go_behind(sd_journal* j, const std::string& cursor) {
    const int rc = sd_journal_seek_cursor(j, cursor.c_str());
    if (rc == -EINVAL)
        return cannot("this is no cursor of a journal: " + cursor.substr(0, 200), EINVAL);
    if (rc < 0) return cannot(-rc);
    // Its line may have been rotated away: then the one that is found is new already.
    if (sd_journal_next(j) > 0 && sd_journal_test_cursor(j, cursor.c_str()) <= 0)
        sd_journal_previous(j);
    return Done{};
}

Result<JournalPage> first_page(sd_journal* j, const JournalQuery& query) {
    if (query.after.empty() && query.forward) {
        const auto usec =
            static_cast<std::uint64_t>(std::max<std::int64_t>(query.since.ms, 0)) * 1000;
        if (const int rc = sd_journal_seek_realtime_usec(j, usec); rc < 0) return cannot(-rc);
        return next_lines(j, query);
    }
    if (query.after.empty()) return last_lines(j, query);
    if (const auto there = go_behind(j, query.after); !there) return there.error();
    return next_lines(j, query);
}

} // namespace

Result<JournalPage> read_journal(const JournalQuery& query) {
    auto handle = open(query);
    if (!handle) return handle.error();
    return first_page(handle->get(), query);
}

std::optional<std::uint32_t> journal_owner(const std::string& bus) {
    if (bus == "system") return std::nullopt;
    constexpr std::string_view kUsers = "/run/user/";
    const auto at = bus.find(kUsers);
    std::uint32_t uid = 0;
    if (at == std::string::npos) return bus == "user" ? std::optional(geteuid()) : std::nullopt;
    const char* const begin = bus.data() + at + kUsers.size();
    const auto [end, error] = std::from_chars(begin, bus.data() + bus.size(), uid);
    return error == std::errc{} && end != begin ? std::optional(uid) : std::nullopt;
}

struct JournalReader::Impl {
    Handle handle;
    JournalQuery query;
    int fd = -1;
    bool begun = false;
};

JournalReader::JournalReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JournalReader::~JournalReader() = default;
JournalReader::JournalReader(JournalReader&&) noexcept = default;
JournalReader& JournalReader::operator=(JournalReader&&) noexcept = default;

Result<JournalReader> JournalReader::open(JournalQuery query) {
    auto handle = systemd::open(query);
    if (!handle) return handle.error();
    auto impl = std::make_unique<Impl>();
    impl->handle = std::move(*handle);
    impl->query = std::move(query);
    // Before any line is read: what comes meanwhile is told.
    const int fd = sd_journal_get_fd(impl->handle.get());
    if (sd_journal_reliable_fd(impl->handle.get()) > 0) impl->fd = fd;
    return JournalReader(std::move(impl));
}

Result<JournalPage> JournalReader::read() {
    if (!std::exchange(impl_->begun, true)) {
        auto page = first_page(impl_->handle.get(), impl_->query);
        impl_->query.lines = kMostLines;
        return page;
    }
    sd_journal_process(impl_->handle.get());
    return next_lines(impl_->handle.get(), impl_->query);
}

int JournalReader::wait_fd() const { return impl_->fd; }

} // namespace keepwell::systemd
