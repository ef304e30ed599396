// Captured output as it comes: the splitter against a plain one, whatever the pieces; file names of
// logs; cleaned text.
#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"
#include "watchers/check_scheduler.h"
#include "watchers/text.h"

using namespace keepwell;

namespace {

constexpr std::size_t kMost = 16;

std::vector<std::string> plainly(std::string_view text) {
    std::vector<std::string> lines;
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        std::string line(text.substr(0, end));
        if (line.size() > kMost) line = line.substr(0, kMost) + "~";
        lines.push_back(std::move(line));
        text.remove_prefix(end + 1);
    }
    return lines;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = 1 + data[0] % 40;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    LineSplitter splitter(kMost, "~");
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at += piece)
        splitter.feed(text.substr(at, piece), [&](std::string line) { lines.push_back(line); });
    if (lines != plainly(text) || splitter.rest().size() > kMost + 1) __builtin_trap();

    const auto sequence = rotated_sequence(text, "web");
    if (sequence && text.rfind("web.log.", 0) != 0) __builtin_trap();
    if (is_log_key(text) && text.find('/') != std::string_view::npos) __builtin_trap();
    const std::string clean = last_line(text, 60);
    for (const char c : clean)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) __builtin_trap();
    if (clean.size() > 60 + 3) __builtin_trap();
    (void)url_host(std::string(text));
    if (text.size() < 64) {
        if (auto matcher = LineMatcher::compile(std::string(text)))
            (void)matcher->feed("L 1 2 abc\nxyz\n");
    }
    return 0;
}
