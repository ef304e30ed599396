#include "supervisor/cli/transfer.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace keepwell::cli {

namespace {

constexpr std::size_t kLongestBody = 256U << 20;

template <class ListPtr>
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

Error explain(CURLcode code, const std::string& path) {
    int error = 0;
    if (code == CURLE_COULDNT_CONNECT) error = connect_errno(path);
    if (code == CURLE_OPERATION_TIMEDOUT) error = ETIMEDOUT;
    const char* why = error != 0 ? std::strerror(error) : curl_easy_strerror(code);
    return Error{"cannot reach keepwell at " + path + ": " + why, error};
}

} // namespace

Transfer::Transfer() : easy_(curl_easy_init()) {}

void Transfer::prepare(const std::string& socket_path, const std::string& target,
                       const std::string* json, long timeout_ms) {
    CURL* handle = easy_.get();
    curl_easy_reset(handle);
    headers_.reset();
    response_ = {};
    const std::string url = "http://localhost" + target;
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, socket_path.c_str());
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &response_.body);
    if (json == nullptr) return;
    sent_ = *json;
    append(headers_, "Content-Type: application/json");
    append(headers_, "X-Keepwell-Request: 1");
    append(headers_, "Expect:");
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(sent_.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, sent_.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
}

Result<Response> Transfer::result(CURLcode code, const std::string& socket_path) {
    if (code != CURLE_OK) return explain(code, socket_path);
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &response_.status);
    return std::move(response_);
}

} // namespace keepwell::cli
