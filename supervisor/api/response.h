// A Reply as the library's response, with the headers that every answer has.
#pragma once

#include "supervisor/api/http_types.h"

#include <memory>
#include <string>
#include <vector>

struct MHD_Response;

namespace keepwell::api {

struct ResponseCloser {
    void operator()(MHD_Response*) const noexcept;
};
using ResponsePtr = std::unique_ptr<MHD_Response, ResponseCloser>;

// The value of Content-Security-Policy. `ancestors`: who may show the panel in a frame.
std::string content_security_policy(const std::vector<std::string>& ancestors);

// Takes the reply's own body, or what goes on instead of it. nullptr: no memory.
ResponsePtr make_response(Reply&&, const std::string& security_policy, ResponsePtr stream);

} // namespace keepwell::api
