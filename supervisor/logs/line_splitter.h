// Cuts a stream of bytes into lines. A line longer than `most` is kept up to there and gets the
// mark; the rest of it is skipped, so memory is bounded whatever comes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace keepwell {

class LineSplitter {
  public:
    LineSplitter(std::size_t most, std::string_view mark) : most_(most), mark_(mark) {}

    template <class Sink> // void(std::string)
    void feed(std::string_view bytes, Sink&& sink) {
        while (!bytes.empty()) {
            const auto end = bytes.find('\n');
            append(bytes.substr(0, end));
            if (end == std::string_view::npos) return;
            sink(std::exchange(line_, {}));
            cut_ = false;
            bytes.remove_prefix(end + 1);
        }
    }

    const std::string& rest() const { return line_; } // what has no '\n' yet
    void clear() {
        line_.clear();
        cut_ = false;
    }

  private:
    void append(std::string_view part) {
        if (cut_) return;
        const std::size_t fits = most_ - line_.size();
        line_.append(part.substr(0, fits));
        if (part.size() <= fits) return;
        line_.append(mark_);
        cut_ = true;
    }

    std::size_t most_;
    std::string_view mark_;
    std::string line_;
    bool cut_ = false;
};

} // namespace keepwell
