#include "supervisor/app/log_book.h"

#include "supervisor/logs/child_file.h"
#include "supervisor/logs/log_names.h"

#include <chrono>
#include <spdlog/spdlog.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace keepwell {

namespace {

constexpr std::uint64_t kLookEvery = 2000; // ms; at files that children write themselves
constexpr auto kRemindEvery = std::chrono::minutes(1);

} // namespace

LogBook::LogBook(uv::Loop& loop, StateFile& state, std::string directory, Hooks hooks)
    : state_(state),
      directory_(std::move(directory)),
      hooks_(std::move(hooks)),
      loop_(loop),
      async_(loop),
      file_timer_(loop, [this] { look_at_files(); }) {
    packer_ = std::make_unique<LogPacker>(directory_, [this](const std::string& error) {
        async_.post([error] { spdlog::warn("{}; the rotated file stays as it is", error); });
    });
}

Status LogBook::connected(std::vector<StagePipe> stages) {
    try {
        packer_->start();
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
                async_.post([this, r = std::move(r)] { on_report(r); });
            };
            options.rotated = [this](const std::string& name) { packer_->rotated(name); };
            movers_.push_back(std::make_unique<LogMover>(std::move(options)));
        }
    } catch (const std::system_error& e) {
        return Error{std::string("cannot start the threads that carry logs: ") + e.what(),
                     e.code().value()};
    }
    return Done{};
}

void LogBook::look_at_files() {
    if (looking_) return; // a slow disk is waited for, and its answer is not lost
    struct Found {
        std::string key, name;
        LogSpec spec;
        ChildFile state = ChildFile::Fine;
        std::string error;
    };
    auto files = std::make_shared<std::vector<Found>>();
    for (const auto& [key, book] : books_) {
        if (book.spec.mode != LogMode::File || !hooks_.can_reopen(key)) continue;
        files->push_back({key, key, book.spec, ChildFile::Fine, {}});
        if (book.spec.separate_stderr) {
            files->push_back({key, errors_key(key), book.spec, ChildFile::Fine, {}});
        }
    }
    if (files->empty()) return file_timer_.stop();
    looking_ = uv::run_in_pool(
        loop_,
        [files, directory = directory_] {
            for (Found& file : *files) {
                const auto state = rotate_child_file(directory, file.name, file.spec);
                if (state)
                    file.state = *state;
                else
                    file.error = state.error().message;
            }
        },
        [this, files] {
            looking_.reset();
            std::string told;
            for (const Found& file : *files) {
                if (!file.error.empty()) spdlog::warn("{}", file.error);
                if (file.state == ChildFile::Fine || told == file.key) continue;
                const auto book = books_.find(file.key);
                if (book == books_.end()) continue;
                // A child that does not listen is reminded, not hammered.
                const auto now = std::chrono::steady_clock::now();
                const bool again = file.state == ChildFile::NotReopened;
                if (again && now - book->second.reopened < kRemindEvery) continue;
                book->second.reopened = now;
                told = file.key;
                hooks_.reopen(file.key);
            }
        });
}

LogMover* LogBook::mover_of(const std::string& name) {
    return movers_.empty() ? nullptr
                           : movers_[std::hash<std::string>{}(name) % movers_.size()].get();
}

void LogBook::set(const std::string& key, const LogSpec& spec) {
    const auto [it, is_new] = books_.try_emplace(key);
    it->second.spec = spec;
    // At rest and without such units nothing wakes up for them.
    if (spec.mode == LogMode::File) {
        file_timer_.start(kLookEvery, kLookEvery);
        file_timer_.unref();
    }
    for (const std::string& name : {key, errors_key(key)}) {
        if (name != key && !spec.separate_stderr) continue;
        // A child's own file may still be open in one of its workers: packing it would lose what
        // that one writes.
        packer_->set(name, {spec.compress && spec.mode != LogMode::File});
        if (auto* mover = mover_of(name); mover && !is_new) mover->configure(name, spec);
    }
}

void LogBook::forget(const std::string& key) {
    books_.erase(key);
    for (const std::string& name : {key, errors_key(key)}) {
        if (books_.contains(name)) continue; // another unit's
        packer_->forget(name);
        if (auto* mover = mover_of(name)) mover->remove(name);
    }
}

const LogSpec& LogBook::spec_of(const std::string& key) const {
    static const LogSpec kDefault;
    const auto it = books_.find(key);
    return it == books_.end() ? kDefault : it->second.spec;
}

void LogBook::take(const std::string& key, Generation generation, int pipe_fd) {
    add(key, key, generation, pipe_fd);
}

void LogBook::take_errors(const std::string& key, Generation generation, int pipe_fd) {
    add(key, errors_key(key), generation, pipe_fd);
}

const LogTally& LogBook::tally(const std::string& key) const {
    static const LogTally kNone;
    const auto it = books_.find(key);
    return it == books_.end() ? kNone : *it->second.tally;
}

void LogBook::flush(std::function<void()> done) {
    if (movers_.empty()) return done();
    for (const auto& [key, book] : books_)
        for (const std::string& name : {key, errors_key(key)}) mover_of(name)->flush(name, {});
    const auto left = std::make_shared<std::size_t>(movers_.size());
    const auto one = [left, done = std::move(done)] {
        if (--*left == 0) done();
    };
    // Orders are done in turn: behind these, and behind those of units that are gone.
    for (const auto& mover : movers_) mover->flush("", [this, one] { async_.post(one); });
}

void LogBook::add(const std::string& key, const std::string& name, Generation generation,
                  int pipe_fd) {
    auto* mover = mover_of(name);
    if (!mover) {
        ::close(pipe_fd);
        return;
    }
    LogSource source;
    source.key = name;
    source.generation = generation;
    source.pipe_fd = pipe_fd;
    source.spec = spec_of(key);
    if (const auto it = books_.find(key); it != books_.end()) source.tally = it->second.tally;
    mover->add(std::move(source));
}

void LogBook::on_report(LogReport r) {
    auto book = books_.find(r.key);
    const bool errors = book == books_.end();
    if (errors) {
        const auto unit = unit_of_errors_key(r.key);
        if (unit) book = books_.find(*unit);
        if (book == books_.end()) return; // of a unit that is gone
        r.key = *unit;
    }
    book->second.last[errors ? 1 : 0] = r;
    const LogReport& other = book->second.last[errors ? 0 : 1];
    r.dropped_bytes += other.dropped_bytes;
    if (r.error.empty()) r.error = other.error;
    hooks_.report(r);
}

} // namespace keepwell
