#include "supervisor/engine/event_store.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr off_t kMaxSize = 8L << 20;
constexpr std::uint64_t kWaitMs = 10;

// Empty: written.
std::string write_lines(const std::string& path, const std::string& text) {
    const int fd =
        ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) return "cannot open " + path + ": " + std::strerror(errno);
    std::string error;
    if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        error = "cannot write " + path + ": " + std::strerror(errno);
    struct stat st {};
    const bool full = fstat(fd, &st) == 0 && st.st_size > kMaxSize;
    ::close(fd);
    if (full) (void)std::rename(path.c_str(), (path + ".1").c_str());
    return error;
}

std::optional<TimelineLine> parse(const std::string& text) {
    const auto j = nlohmann::json::parse(text, nullptr, false);
    if (!j.is_object()) return std::nullopt;
    try {
        TimelineLine l;
        l.sequence = j.at("sequence").get<std::uint64_t>();
        l.time = WallTime{j.at("ms").get<std::int64_t>()};
        l.service = j.at("service").get<std::string>();
        l.kind = j.at("kind").get<std::string>();
        l.subject = j.at("subject").get<std::string>();
        l.text = j.at("text").get<std::string>();
        l.detail = j.at("detail").get<std::string>();
        l.story = j.at("story").get<std::uint64_t>();
        l.outcome = j.at("outcome").get<std::string>();
        l.trouble = j.at("trouble").get<bool>();
        return l;
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

} // namespace

EventStore::EventStore(uv::Loop& loop, std::string path, std::function<void(std::string)> on_error)
    : loop_(loop), path_(std::move(path)), on_error_(std::move(on_error)), soon_(loop, [this] {
          waiting_ = false;
          if (!work_) flush();
      }) {}

EventStore::~EventStore() {
    if (!pending_.empty()) (void)write_lines(path_, pending_);
}

void EventStore::append(const std::string& line) {
    pending_ += line;
    pending_ += '\n';
    if (work_ || waiting_) return;
    waiting_ = true;
    soon_.start(kWaitMs);
}

void EventStore::flush() {
    auto text = std::make_shared<std::string>(std::move(pending_));
    pending_.clear();
    auto error = std::make_shared<std::string>();
    work_ = uv::run_in_pool(
        loop_, [path = path_, text, error] { *error = write_lines(path, *text); },
        [this, error] {
            work_.reset();
            const bool failed = !error->empty();
            if (failed != failing_) {
                failing_ = failed;
                if (failed) on_error_(*error);
            }
            if (!pending_.empty()) flush();
        });
}

std::vector<TimelineLine> EventStore::load(const std::string& path, std::size_t limit) {
    std::deque<std::string> texts;
    for (const std::string& name : {path + ".1", path}) {
        std::ifstream in(name);
        for (std::string text; std::getline(in, text);) {
            texts.push_back(std::move(text));
            if (texts.size() > limit) texts.pop_front();
        }
    }
    std::vector<TimelineLine> lines;
    for (const auto& text : texts)
        if (auto line = parse(text)) lines.push_back(std::move(*line));
    return lines;
}

} // namespace keepwell
