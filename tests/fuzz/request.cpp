// What a client of the control socket chooses freely: target, names, bodies.
#include "supervisor/api/request_body.h"
#include "supervisor/api/target.h"

using namespace keepwell;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto target = api::parse_target(text)) {
        for (const auto& segment : target->segments)
            if (api::is_name(segment) && (segment.find('/') != std::string::npos ||
                                          segment.find('\0') != std::string::npos ||
                                          segment.find("..") != std::string::npos))
                __builtin_trap();
    } else if (!text.empty() && text.front() == '/' && text.find('%') == std::string_view::npos) {
        __builtin_trap(); // without an escape nothing can be broken
    }
    const auto body = api::parse_body(text, {"verb", "names", "signal", "for", "check", "dry_run"});
    if (!body && body.error().message.rfind("cannot", 0) != 0) __builtin_trap();
    const auto none = api::parse_body(text, {});
    if (none && (none->verb || !none->names.empty() || none->signal || none->pause_for))
        __builtin_trap(); // a key that the route does not take
    (void)api::has_no_events(text);
    return 0;
}
