#include "supervisor/api/response.h"

#include <microhttpd.h>

#include <algorithm>
#include <strings.h>

namespace keepwell::api {

namespace {

using Shared = std::shared_ptr<const std::string>;

// The library never writes to what it is given, so the const_casts are harmless.
MHD_Response* of_fixed(std::string_view bytes) {
    return MHD_create_response_from_buffer(bytes.size(), const_cast<char*>(bytes.data()),
                                           MHD_RESPMEM_PERSISTENT);
}

MHD_Response* of_shared(Shared body) {
    auto held = std::make_unique<Shared>(std::move(body));
    const std::string& bytes = **held;
    MHD_Response* response = MHD_create_response_from_buffer_with_free_callback_cls(
        bytes.size(), const_cast<char*>(bytes.data()),
        [](void* cls) { delete static_cast<Shared*>(cls); }, held.get());
    if (response != nullptr) (void)held.release();
    return response;
}

bool has(const Reply& reply, const char* name) {
    return std::any_of(reply.headers.begin(), reply.headers.end(),
                       [&](const auto& h) { return ::strcasecmp(h.first.c_str(), name) == 0; });
}

} // namespace

void ResponseCloser::operator()(MHD_Response* r) const noexcept { MHD_destroy_response(r); }

std::string content_security_policy(const std::vector<std::string>& ancestors) {
    std::string policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors";
    for (const auto& ancestor : ancestors) policy += " " + ancestor;
    if (ancestors.empty()) policy += " 'none'";
    return policy + "; require-trusted-types-for 'script'";
}

ResponsePtr make_response(Reply&& reply, const std::string& security_policy, ResponsePtr stream) {
    if (!reply.fixed_body && !reply.shared_body && !reply.body.empty())
        reply.shared_body = std::make_shared<const std::string>(std::move(reply.body));
    ResponsePtr response(stream              ? stream.release()
                         : reply.fixed_body  ? of_fixed(*reply.fixed_body)
                         : reply.shared_body ? of_shared(std::move(reply.shared_body))
                                             : of_fixed(""));
    if (!response) return nullptr;
    const auto add = [&](const char* name, const char* value) {
        MHD_add_response_header(response.get(), name, value);
    };
    if (reply.status != 304 && reply.status != 204) add("Content-Type", reply.content_type.c_str());
    if (!has(reply, "Cache-Control")) add("Cache-Control", "no-store");
    add("Content-Security-Policy", security_policy.c_str());
    add("X-Content-Type-Options", "nosniff");
    add("Referrer-Policy", "no-referrer");
    add("Cross-Origin-Opener-Policy", "same-origin");
    if (!has(reply, "Cross-Origin-Resource-Policy"))
        add("Cross-Origin-Resource-Policy", "same-origin");
    for (const auto& [name, value] : reply.headers) add(name.c_str(), value.c_str());
    return response;
}

} // namespace keepwell::api
