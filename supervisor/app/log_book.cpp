#include "supervisor/app/log_book.h"

#include <unistd.h>

namespace keepwell {

LogBook::LogBook(uv::Loop& loop, StateFile& state, std::string directory,
                 std::function<void(LogReport)> report)
    : state_(state), directory_(std::move(directory)), report_(std::move(report)), async_(loop) {}

void LogBook::connected(std::vector<StagePipe> stages) {
    for (std::size_t i = 0; i < stages.size(); ++i) {
        if (i >= kStageCount) {
            ::close(stages[i].read);
            ::close(stages[i].write);
            continue;
        }
        LogMover::Options options;
        options.directory = directory_;
        options.stage_read = stages[i].read;
        options.stage_write = stages[i].write;
        options.owner = state_.stage_owner(i);
        options.report = [this](LogReport r) {
            async_.post([this, r = std::move(r)] { report_(r); });
        };
        movers_.push_back(std::make_unique<LogMover>(std::move(options)));
    }
}

LogMover* LogBook::mover_of(const std::string& key) {
    return movers_.empty() ? nullptr
                           : movers_[std::hash<std::string>{}(key) % movers_.size()].get();
}

void LogBook::set(const std::string& key, const LogSpec& spec) {
    const auto [it, is_new] = specs_.insert_or_assign(key, spec);
    (void)it;
    if (auto* mover = mover_of(key); mover && !is_new) mover->configure(key, spec);
}

void LogBook::forget(const std::string& key) {
    specs_.erase(key);
    if (auto* mover = mover_of(key)) mover->remove(key);
}

void LogBook::take(const std::string& key, Generation generation, int pipe_fd) {
    auto* mover = mover_of(key);
    if (!mover) {
        ::close(pipe_fd);
        return;
    }
    LogSource source;
    source.key = key;
    source.generation = generation;
    source.pipe_fd = pipe_fd;
    if (const auto it = specs_.find(key); it != specs_.end()) source.spec = it->second;
    mover->add(std::move(source));
}

} // namespace keepwell
