#include "supervisor/logs/log_scan.h"

#include "supervisor/logs/pattern.h"

#include <optional>

namespace keepwell {
namespace {

struct Questions {
    std::optional<Pattern> bad, good;
    Redactor redactor;
};

class FileStream final : public LineStream {
  public:
    FileStream(std::string dir, std::string name, LogPosition from, bool timed)
        : dir_(std::move(dir)), name_(std::move(name)), timed_(timed), tail_(tail(from)) {}
    Result<std::vector<TimedLine>> poll_timed() override { return tail_.poll_timed(); }
    void skip() override { tail_ = tail(log_end(dir_, name_)); }

  private:
    LogTail tail(LogPosition from) const { return {dir_, name_, from, timed_}; }

    std::string dir_, name_;
    bool timed_;
    LogTail tail_;
};

class StreamScan final : public LogScan {
  public:
    explicit StreamScan(Questions questions) : questions_(std::move(questions)) {}
    void follow(std::unique_ptr<LineStream> stream) { streams_.push_back(std::move(stream)); }
    bool asks_for_times() const { return questions_.good.has_value(); }

    LogFindings look() override {
        LogFindings found;
        for (const auto& stream : streams_) read(*stream, found);
        return found;
    }

  private:
    void read(LineStream& stream, LogFindings& found) const {
        for (std::uint64_t got = 0; got < FileLogScans::kMostAtOnce;) {
            const auto lines = stream.poll_timed();
            if (!lines) {
                if (found.error.empty()) found.error = lines.error().message;
                return;
            }
            if (lines->empty()) return;
            for (const TimedLine& line : *lines) {
                got += line.text.size() + 1;
                judge(line, found);
            }
        }
        stream.skip();
        found.skipped_after = FileLogScans::kMostAtOnce;
    }
    void judge(const TimedLine& line, LogFindings& found) const {
        if (questions_.bad && questions_.bad->found_in(line.text) && found.bad_lines++ == 0)
            found.first_bad = questions_.redactor.apply(line.text);
        if (!questions_.good || !questions_.good->found_in(line.text)) return;
        // Of the two streams the later line counts; one whose time is not known was just written.
        const bool known = line.written_ms != 0 && (!found.good || found.good_at);
        const WallTime at{line.written_ms};
        if (!known)
            found.good_at.reset();
        else if (!found.good_at || *found.good_at < at)
            found.good_at = at;
        found.good = true;
    }

    Questions questions_;
    std::vector<std::unique_ptr<LineStream>> streams_;
};

class NoScan final : public LogScan {
  public:
    explicit NoScan(std::string why) : why_(std::move(why)) {}
    LogFindings look() override {
        LogFindings found;
        found.error = why_;
        return found;
    }

  private:
    std::string why_;
};

Status compile(const std::string& expression, std::optional<Pattern>& to) {
    if (expression.empty()) return Done{};
    auto pattern = Pattern::compile(expression);
    if (!pattern) return pattern.error();
    to = std::move(*pattern);
    return Done{};
}

} // namespace

std::shared_ptr<LogScan> FileLogScans::open(const LogQuestion& asked) {
    const Place place = place_(asked.key);
    if (place.streams.empty() && !place.other)
        return std::make_shared<NoScan>("cannot look into the log: keepwell knows of none of this "
                                        "unit (name its files in log_files)");
    Questions questions;
    auto redactor = Redactor::compile(place.redact);
    for (const Status& compiled :
         {compile(asked.bad, questions.bad), compile(asked.good, questions.good),
          redactor ? Status(Done{}) : Status(redactor.error())})
        if (!compiled)
            return std::make_shared<NoScan>("cannot look into the log: " +
                                            compiled.error().message);
    questions.redactor = std::move(*redactor);
    const auto known = starts_.find(asked.key);
    const bool starting =
        known != starts_.end() && known->second.ends.size() == place.streams.size();
    const Start start = starting ? known->second : now(place);
    auto scan = std::make_shared<StreamScan>(std::move(questions));
    for (std::size_t i = 0; i < place.streams.size(); ++i)
        scan->follow(std::make_unique<FileStream>(place.dir, place.streams[i], start.ends[i],
                                                  scan->asks_for_times()));
    if (place.other) scan->follow(place.other(start.at));
    return scan;
}

FileLogScans::Start FileLogScans::now(const Place& place) const {
    Start start{{}, clock_.wall()};
    for (const std::string& stream : place.streams)
        start.ends.push_back(log_end(place.dir, stream));
    return start;
}

void FileLogScans::starting(const std::string& key) { starts_[key] = now(place_(key)); }

} // namespace keepwell
