#include "supervisor/feeds/forward_lines.h"

#include "supervisor/feeds/backward_journal.h"
#include "supervisor/logs/log_files.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/time_index.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace keepwell::feeds {
namespace {

std::int64_t now_ms() {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

FeedPosition position_of(const LogPosition& at) {
    return {at.sequence + 1, at.inode, at.offset, {}};
}

struct Begin {
    LogPosition at;
    bool inside = false; // a line whose beginning is far away
};

// Behind the last '\n' as far as it is near the end; nullopt: it is not.
std::optional<std::uint64_t> last_line_end(OpenLog& log) {
    const auto size = static_cast<std::uint64_t>(log.info.st_size);
    const std::uint64_t begin = size > kMaxLogLine ? size - kMaxLogLine : 0;
    std::string block(static_cast<std::size_t>(size - begin), '\0');
    const ssize_t n = log.read(begin, block.data(), block.size());
    block.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    const auto newline = block.rfind('\n');
    if (newline != std::string::npos) return begin + newline + 1;
    return begin == 0 ? std::optional<std::uint64_t>(0) : std::nullopt;
}

Begin begin_at(const std::string& dir, const std::string& name,
               std::optional<std::int64_t> since_ms) {
    auto newest = open_log(log_path(dir, name)); // in this order: see BackwardFile::open_end
    const auto rotated = rotated_sequences(dir, name);
    if (since_ms && rotated.empty() && newest && newest->exists()) {
        const TimeIndex times(newest->path, newest->info.st_ino);
        if (!times.marks().empty() && times.marks().front().unix_ms >= *since_ms)
            return {{newest->info.st_ino, 0, 0}};
    }
    LogPosition end{0, 0, rotated.empty() ? 0 : rotated.back()};
    if (!newest || !newest->exists()) return {end};
    end.inode = newest->info.st_ino;
    const auto offset = last_line_end(*newest);
    end.offset = offset.value_or(static_cast<std::uint64_t>(newest->info.st_size));
    if (rotated.empty()) return {end, !offset};
    const auto last = open_rotated_log(dir, name, rotated.back());
    if (last && last.value().exists() && last.value().info.st_ino == end.inode) --end.sequence;
    return {end, !offset};
}

class ForwardFile final : public ForwardLines {
  public:
    ForwardFile(const std::string& dir, const std::string& name,
                std::optional<std::int64_t> since_ms)
        : ForwardFile(dir, name, begin_at(dir, name, since_ms)) {}

    Result<std::vector<FollowedLine>> poll() override {
        auto lines = tail_.poll_timed();
        if (!lines) return lines.error();
        std::vector<FollowedLine> out;
        out.reserve(lines->size());
        for (TimedLine& line : *lines) {
            // The end of a line alone may hold the end of a secret, which is not redacted then.
            if (std::exchange(inside_, false)) continue;
            out.push_back(followed(std::move(line)));
        }
        at_ = tail_.position();
        return out;
    }
    FeedPosition place() const override { return position_of(at_); }
    bool take_lost() override { return tail_.take_lost(); }

  private:
    ForwardFile(const std::string& dir, const std::string& name, const Begin& begin)
        : tail_(dir, name, begin.at, true), at_(tail_.position()), inside_(begin.inside) {}

    FollowedLine followed(TimedLine line) {
        FollowedLine out;
        out.end = position_of(line.end);
        out.line.time_ms = own_time(line.text);
        if (!out.line.time_ms) out.line.time_ms = line.written_ms != 0 ? line.written_ms : now_ms();
        if (!continues_a_line(line.text)) head_ = own_level(line.text);
        out.line.level = head_;
        out.line.text = std::move(line.text);
        return out;
    }

    LogTail tail_;
    LogPosition at_;
    bool inside_ = false; // of a line; the rest of it is left out
    std::optional<LogLevel> head_;
};

class ForwardJournal final : public ForwardLines {
  public:
    explicit ForwardJournal(systemd::JournalQuery query) : query_(std::move(query)) {
        query_.lines = 1; // the last one says where the journal ends
    }

    Result<std::vector<FollowedLine>> poll() override {
        std::vector<FollowedLine> out;
        if (!reader_) {
            auto opened = systemd::JournalReader::open(query_);
            if (!opened) return opened.error();
            reader_.emplace(std::move(*opened));
            const auto last = reader_->read();
            if (!last) return last.error();
            if (!last.value().lines.empty()) at_ = last.value().lines.back().cursor;
            return out;
        }
        auto page = reader_->read();
        if (!page) return page.error();
        for (auto& line : page->lines) {
            at_ = line.cursor;
            out.push_back({{std::move(line.text), line.time.ms, level_of_priority(line.priority)},
                           {0, 0, 0, std::move(line.cursor)}});
        }
        return out;
    }
    FeedPosition place() const override { return {0, 0, 0, at_}; }
    bool take_lost() override { return false; }

  private:
    systemd::JournalQuery query_;
    std::optional<systemd::JournalReader> reader_;
    std::string at_;
};

} // namespace

std::unique_ptr<ForwardLines> follow(const std::string& log_dir, const FeedSource& source,
                                     std::optional<std::int64_t> since_ms) {
    switch (source.kind) {
    case FeedSource::Kind::Journal: return std::make_unique<ForwardJournal>(*source.journal);
    case FeedSource::Kind::File: break;
    }
    return std::make_unique<ForwardFile>(log_dir, source.name, since_ms);
}

} // namespace keepwell::feeds
