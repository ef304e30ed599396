#include "supervisor/cli/client.h"

#include "supervisor/cli/transfer.h"

#include <array>
#include <cerrno>
#include <cstdio>

namespace keepwell::cli {

struct Client::Impl {
    std::string path;
    long timeout_ms = 0;
    std::unique_ptr<Transfer> made; // by the first request: libcurl sets up its TLS library

    Result<Response> perform(const std::string& target, const std::string* json) {
        if (!made) made = std::make_unique<Transfer>();
        Transfer& transfer = *made;
        if (!transfer) return Error{"cannot make an HTTP client: out of memory", ENOMEM};
        // libcurl cuts a path that is too long for the kernel.
        if (path.size() >= kLongestSocketPath) return transfer.result(CURLE_COULDNT_CONNECT, path);
        transfer.prepare(path, target, json, timeout_ms);
        return transfer.result(curl_easy_perform(transfer.handle()), path);
    }
};

Client::Client(std::string socket_path, long timeout_ms) : impl_(std::make_unique<Impl>()) {
    impl_->path = std::move(socket_path);
    impl_->timeout_ms = timeout_ms;
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Response> Client::get(const std::string& path) { return impl_->perform(path, nullptr); }
Result<Response> Client::post(const std::string& path, const std::string& json) {
    return impl_->perform(path, &json);
}
const std::string& Client::socket_path() const { return impl_->path; }

bool nobody_there(const Error& e) {
    return e.code == ENOENT || e.code == ECONNREFUSED || e.code == ENOTDIR;
}

std::string url_part(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            std::array<char, 4> hex{};
            std::snprintf(hex.data(), hex.size(), "%%%02X",
                          static_cast<unsigned>(static_cast<unsigned char>(c)));
            out += hex.data();
        }
    }
    return out;
}

} // namespace keepwell::cli
