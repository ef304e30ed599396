#include "supervisor/cli/client.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace keepwell::cli {

namespace {

constexpr std::size_t kLongestBody = 256U << 20;

struct EasyDeleter {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
struct ListDeleter {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using ListPtr = std::unique_ptr<curl_slist, ListDeleter>;

void append(ListPtr& list, const char* text) {
    if (curl_slist* longer = curl_slist_append(list.get(), text)) {
        (void)list.release();
        list.reset(longer);
    }
}

size_t take(char* data, size_t size, size_t count, void* out) noexcept {
    auto& body = *static_cast<std::string*>(out);
    const size_t length = size * count;
    if (body.size() + length > kLongestBody) return 0;
    try {
        body.append(data, length);
    } catch (...) {
        return 0;
    }
    return length;
}

// libcurl says only "couldn't connect" for a unix socket: ask the kernel why.
int connect_errno(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno;
    const int failed = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int code = failed == 0 ? 0 : errno;
    close(fd);
    return code;
}

} // namespace

struct Client::Impl {
    std::string path;
    long timeout_ms = 0;
    std::unique_ptr<CURL, EasyDeleter> easy;

    Error explain(CURLcode code) const {
        int error = 0;
        if (code == CURLE_COULDNT_CONNECT) error = connect_errno(path);
        if (code == CURLE_OPERATION_TIMEDOUT) error = ETIMEDOUT;
        const char* why = error != 0 ? std::strerror(error) : curl_easy_strerror(code);
        return Error{"cannot reach keepwell at " + path + ": " + why, error};
    }

    Result<Response> perform(const std::string& target, const std::string* json) {
        if (!easy) return Error{"cannot make an HTTP client: out of memory", ENOMEM};
        if (path.size() >= sizeof(sockaddr_un::sun_path)) return explain(CURLE_COULDNT_CONNECT);
        CURL* handle = easy.get();
        curl_easy_reset(handle);
        Response response;
        ListPtr headers;
        const std::string url = "http://localhost" + target;
        curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
        curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, path.c_str());
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
        curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, &response.body);
        if (json != nullptr) {
            append(headers, "Content-Type: application/json");
            append(headers, "X-Keepwell-Request: 1");
            append(headers, "Expect:");
            curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(json->size()));
            curl_easy_setopt(handle, CURLOPT_POSTFIELDS, json->c_str());
            curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
        }
        const CURLcode code = curl_easy_perform(handle);
        if (code != CURLE_OK) return explain(code);
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &response.status);
        return response;
    }
};

Client::Client(std::string socket_path, long timeout_ms) : impl_(std::make_unique<Impl>()) {
    impl_->path = std::move(socket_path);
    impl_->timeout_ms = timeout_ms;
    impl_->easy.reset(curl_easy_init());
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
