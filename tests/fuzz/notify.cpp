// What a daemon says by sd_notify: texts come out clean, and what is refused is refused for its
// length or a NUL.
#include "supervisor/notify/notify_message.h"

using namespace keepwell;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto message = parse_notify(text);
    if (!message) {
        if (size <= kMaxNotifyMessage && text.find('\0') == std::string_view::npos)
            __builtin_trap();
        return 0;
    }
    if (message->status)
        for (const char c : *message->status)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) __builtin_trap();
    if (message->main_pid && *message->main_pid <= 0) __builtin_trap();
    if (parse_notify(text) != message) __builtin_trap();
    return 0;
}
