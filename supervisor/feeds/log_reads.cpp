#include "supervisor/feeds/log_reads.h"

#include <cerrno>
#include <utility>

namespace keepwell::feeds {

LogReads::~LogReads() {
    for (const auto& [number, id] : running_) offload_.cancel(id);
}

void LogReads::read(std::shared_ptr<const LogPlaces> places, LogQuestion question, Done done) {
    if (running_.size() >= kMost)
        return done(Error{"cannot read the logs: many others wait for their disk; try again in a "
                          "moment",
                          EAGAIN});
    struct Work {
        LogQuestion question;
        Result<LogPage> page = LogPage{};
    };
    auto work = std::make_shared<Work>();
    work->question = std::move(question);
    const std::uint64_t number = ++last_;
    running_[number] = offload_.run(
        Offload::Lane::Logs,
        [places = std::move(places), work] { work->page = read_page(*places, work->question); },
        [this, number, work, done = std::move(done)] {
            running_.erase(number);
            done(std::move(work->page)); // may destroy this
        });
}

} // namespace keepwell::feeds
