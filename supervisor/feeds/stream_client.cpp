#include "supervisor/feeds/stream_client.h"

#include <algorithm>
#include <utility>

namespace keepwell::feeds {

std::string event_text(std::string_view name, std::string_view id, std::string_view data) {
    std::string out;
    const auto field = [&out](std::string_view key, std::string_view value) {
        if (!value.empty()) out.append(key).append(": ").append(value).append("\n");
    };
    field("event", name);
    field("id", id);
    field("data", data);
    return out += '\n';
}

StreamClient::StreamClient(Options options, const std::uint64_t& turn,
                           std::shared_ptr<StreamCounts> counts)
    : options_(std::move(options)), turn_(turn), counts_(std::move(counts)) {
    ++counts_->clients;
    auto first = std::make_shared<StreamEvent>();
    first->bytes = options_.first;
    begun_ = std::move(first);
}

StreamClient::~StreamClient() { --counts_->clients; }

std::optional<std::size_t> StreamClient::read(char* to, std::size_t size) {
    std::size_t given = 0;
    while (given < size) {
        if (!begun_ && !begin_next()) break;
        const std::size_t part = std::min(size - given, begun_->bytes.size() - sent_);
        std::copy_n(begun_->bytes.data() + sent_, part, to + given);
        given += part;
        sent_ += part;
        if (sent_ == begun_->bytes.size()) begun_.reset();
    }
    if (given == 0 && ended_) return std::nullopt;
    return given;
}

bool StreamClient::begin_next() {
    if (!ended_ && written_in_ == turn_) return false;
    if (lost_events_ > 0) {
        auto gap = std::make_shared<StreamEvent>();
        gap->bytes = options_.gap(lost_events_, lost_lines_);
        lost_events_ = lost_lines_ = 0;
        begun_ = std::move(gap);
        sent_ = 0;
        return true; // in the same turn as what follows it
    }
    if (queue_.empty()) return false;
    begun_ = std::move(queue_.front());
    queue_.pop_front();
    bytes_ -= begun_->bytes.size();
    if (queue_.empty()) allowed_ = 0;
    sent_ = 0;
    written_in_ = turn_;
    return true;
}

void StreamClient::push(EventPtr event) {
    if (ended_ || (!event->essential && waiting())) return;
    bytes_ += event->bytes.size();
    queue_.push_back(std::move(event));
    make_room();
}

void StreamClient::make_room() {
    const std::size_t most = std::max(options_.most_bytes, allowed_);
    while (bytes_ > most && queue_.size() > 1) {
        bytes_ -= queue_.front()->bytes.size();
        lost_lines_ += queue_.front()->lines;
        ++lost_events_;
        ++counts_->dropped;
        queue_.pop_front();
    }
}

void StreamClient::end() {
    ended_ = true;
    if (wake_) wake_();
}

} // namespace keepwell::feeds
