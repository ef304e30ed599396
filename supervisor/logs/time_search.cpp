#include "supervisor/logs/time_search.h"

#include "supervisor/logs/line_facts.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace keepwell {
namespace {

constexpr std::int64_t kDisorder = 60'000;       // ms
constexpr std::uint64_t kNearEnough = 64U << 10; // read through from here on
constexpr std::size_t kLook = 16U << 10;
constexpr std::uint64_t kLongestLook = 1U << 20; // for a line that bears a time

struct Found {
    std::uint64_t line = 0; // its first byte
    std::int64_t time_ms = 0;
};

// The first line that begins in [from, to) and bears a time. Lines of more than a block are none.
std::optional<Found> first_timed(OpenLog& log, std::uint64_t from, std::uint64_t to) {
    std::vector<char> block(kLook);
    const std::uint64_t end = std::min(to, from + kLongestLook);
    // One byte earlier: a line that begins exactly here is behind a line end.
    for (std::uint64_t at = from == 0 ? 0 : from - 1; at < end;) {
        const ssize_t n = log.read(at, block.data(), block.size());
        if (n <= 0) return std::nullopt;
        const std::string_view text(block.data(), static_cast<std::size_t>(n));
        std::size_t line = at == 0 ? 0 : text.find('\n') + 1; // 0 = npos + 1: none in this block
        if (at != 0 && line == 0) {
            at += text.size();
            continue;
        }
        for (;;) {
            const std::size_t next = text.find('\n', line);
            if (next == std::string_view::npos) break;
            if (at + line >= end) return std::nullopt;
            if (const auto time = own_time(text.substr(line, next - line)))
                return Found{at + line, *time};
            line = next + 1;
        }
        // The last one again, from its line end on, unless it fills the block.
        at += line > 1 ? line - 1 : text.size();
    }
    return std::nullopt;
}

} // namespace

std::uint64_t begin_by_own_times(OpenLog& log, std::int64_t since_ms) {
    const std::int64_t wanted = since_ms - kDisorder;
    std::uint64_t low = 0; // the begin of a line that is earlier, or of the file
    auto high = static_cast<std::uint64_t>(log.info.st_size);
    while (high - low > kNearEnough) {
        const std::uint64_t middle = low + (high - low) / 2;
        const auto found = first_timed(log, middle, high);
        if (found && found->time_ms < wanted)
            low = found->line;
        else // later ones, or none that says: what is looked for may begin before
            high = middle;
    }
    return low;
}

} // namespace keepwell
