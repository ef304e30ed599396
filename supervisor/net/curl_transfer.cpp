#include "supervisor/net/curl_transfer.h"

#include "watchers/text.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr std::size_t kMaxHeader = 64U << 10;
constexpr long kCaCacheSeconds = 60; // a renewed CA file shall count soon; parsing it is dear

long to_ms(Duration d) {
    const auto ms = (d.count() + 999'999) / 1'000'000;
    return static_cast<long>(std::max<std::int64_t>(ms, 1)); // 0 would mean "no limit"
}

bool one_line(std::string_view text) noexcept {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trimmed(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// libcurl 7.88 opens sockets without CLOEXEC.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) noexcept {
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Of the server's own certificate. None over a reused connection, and none without TLS.
std::optional<WallTime> certificate_end(CURL* easy) {
    curl_certinfo* info = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == nullptr ||
        info->num_of_certs < 1)
        return std::nullopt;
    constexpr std::string_view name = "Expire date:";
    for (const curl_slist* line = info->certinfo[0]; line != nullptr; line = line->next) {
        const std::string_view text = line->data;
        if (!text.starts_with(name)) continue;
        const time_t end = curl_getdate(line->data + name.size(), nullptr);
        if (end > 0) return WallTime{std::int64_t{end} * 1000};
    }
    return std::nullopt;
}

bool is_tls_error(CURLcode code) noexcept {
    static constexpr std::array codes = {
        CURLE_SSL_CONNECT_ERROR,     CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED,
        CURLE_SSL_CERTPROBLEM,       CURLE_SSL_CIPHER,          CURLE_PEER_FAILED_VERIFICATION,
        CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_CACERT_BADFILE,  CURLE_SSL_SHUTDOWN_FAILED,
        CURLE_SSL_CRL_BADFILE,       CURLE_SSL_ISSUER_ERROR,    CURLE_SSL_PINNEDPUBKEYNOTMATCH,
        CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT,      CURLE_USE_SSL_FAILED};
    return std::ranges::find(codes, code) != codes.end();
}

} // namespace

Transfer::Transfer(CurlEasy easy, RequestId id, const HttpRequest& request,
                   std::function<void(HttpResult)> done)
    : easy_(std::move(easy)),
      id_(id),
      callback_(std::move(done)),
      socket_(request.unix_socket),
      host_(lower(url_host(request.url))),
      timeout_(request.timeout),
      max_body_(request.max_body) {
    set_common(request);
    set_method(request);
    set_headers(request);
    set_tls(request);
    set_hooks();
}

// The first option that libcurl does not take makes the request fail, with its words for it.
template <class T>
void Transfer::set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(easy(), option, value);
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code != CURLE_OK && refused_.empty())
        refused_ = std::string("cannot make the request: ") + curl_easy_strerror(code);
}

void Transfer::set_common(const HttpRequest& request) {
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_PRIVATE, static_cast<void*>(this));
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PROXY, ""); // an empty one overrules the environment's
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_TIMEOUT_MS, to_ms(request.timeout));
    set(CURLOPT_CONNECTTIMEOUT_MS, to_ms(request.timeout));
    // Without it a timeout during a name lookup joins the resolver's thread and blocks the loop.
    set(CURLOPT_QUICK_EXIT, 1L);
    set(CURLOPT_FOLLOWLOCATION, request.follow_redirects > 0 ? 1L : 0L);
    set(CURLOPT_MAXREDIRS, static_cast<long>(request.follow_redirects));
    if (!request.unix_socket.empty()) set(CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
    set(CURLOPT_USERAGENT, "keepwell/" KEEPWELL_VERSION);
}

void Transfer::set_method(const HttpRequest& request) {
    if (!one_line(request.method)) refused_ = "cannot make the request: bad method";
    const bool head = request.method == "HEAD";
    if (head) set(CURLOPT_NOBODY, 1L);
    if (!request.body.empty() && !head) {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(CURLOPT_COPYPOSTFIELDS, request.body.c_str());
    } else if (request.method == "POST") {
        set(CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t{0});
        set(CURLOPT_COPYPOSTFIELDS, "");
    }
    if (!head && request.method != "GET") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (request.method == "GET" && !request.body.empty()) set(CURLOPT_CUSTOMREQUEST, "GET");
}

void Transfer::set_headers(const HttpRequest& request) {
    const auto append = [&](const std::string& line) {
        curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
        if (longer == nullptr) throw std::bad_alloc();
        static_cast<void>(headers_.release());
        headers_.reset(longer);
    };
    // A server that does not know "Expect: 100-continue" would cost a second for a large body.
    append("Expect:");
    for (const auto& [name, value] : request.headers) {
        if (name.empty() || !one_line(name) || !one_line(value)) {
            refused_ = "cannot make the request: a header has a line break or no name";
            return;
        }
        append(value.empty() ? name + ';' : name + ": " + value);
    }
    set(CURLOPT_HTTPHEADER, headers_.get());
}

void Transfer::set_tls(const HttpRequest& request) {
    set(CURLOPT_SSL_VERIFYPEER, request.verify_tls ? 1L : 0L);
    set(CURLOPT_SSL_VERIFYHOST, request.verify_tls ? 2L : 0L);
    set(CURLOPT_CERTINFO, 1L);
    set(CURLOPT_FRESH_CONNECT, request.fresh_connection ? 1L : 0L);
    set(CURLOPT_CA_CACHE_TIMEOUT, kCaCacheSeconds);
    if (!request.ca_file.empty()) {
        set(CURLOPT_CAINFO, request.ca_file.c_str());
        set(CURLOPT_CAPATH, static_cast<char*>(nullptr)); // only this CA, not the system's folder
    }
}

void Transfer::set_hooks() {
    set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(CURLOPT_PREREQDATA, static_cast<void*>(this));
    set(
        CURLOPT_PREREQFUNCTION, +[](void* self, char*, char*, int, int) noexcept {
            return static_cast<Transfer*>(self)->may_request();
        });
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(
        CURLOPT_WRITEFUNCTION,
        +[](char* data, std::size_t one, std::size_t count, void* self) noexcept {
            return static_cast<Transfer*>(self)->on_body(data, one * count);
        });
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(
        CURLOPT_HEADERFUNCTION,
        +[](char* data, std::size_t one, std::size_t count, void* self) noexcept {
            return static_cast<Transfer*>(self)->on_header({data, one * count});
        });
}

// Giving back less than came ends the transfer; the only way to do so from inside a callback.
std::size_t Transfer::on_body(const char* data, std::size_t size) {
    const std::size_t room = max_body_ - partial_.body.size();
    partial_.body.append(data, std::min(size, room));
    if (size <= room) return size;
    body_cut_ = true;
    return 0;
}

std::size_t Transfer::on_header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > kMaxHeader) {
        header_flood_ = true;
        return 0;
    }
    if (line.starts_with("HTTP/")) { // also after "100 Continue" and after each redirect
        partial_.headers.clear();
        return line.size();
    }
    const auto colon = line.find(':');
    if (colon != std::string_view::npos)
        partial_.headers.emplace_back(lower(trimmed(line.substr(0, colon))),
                                      trimmed(line.substr(colon + 1)));
    return line.size();
}

// A redirect leads elsewhere on the same host, not to other services that only this one can reach.
int Transfer::may_request() {
    char* url = nullptr;
    curl_easy_getinfo(easy(), CURLINFO_EFFECTIVE_URL, &url);
    left_host_ = url != nullptr && lower(url_host(url)) != host_;
    return left_host_ ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

HttpResult Transfer::result(CURLcode code) {
    HttpResult r = std::move(partial_);
    curl_off_t us = 0;
    curl_easy_getinfo(easy(), CURLINFO_TOTAL_TIME_T, &us);
    r.took = std::chrono::microseconds(us);
    if (code == CURLE_WRITE_ERROR && body_cut_) code = CURLE_OK;
    if (code != CURLE_OK) {
        describe_failure(code, r);
        return r;
    }
    long status = 0;
    curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
    r.status = static_cast<int>(status);
    r.cert_expires_at = certificate_end(easy());
    return r;
}

void Transfer::describe_failure(CURLcode code, HttpResult& r) const {
    long os_error = 0;
    curl_easy_getinfo(easy(), CURLINFO_OS_ERRNO, &os_error);
    r.failure = HttpFailure::Other;
    r.error = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    if (header_flood_) {
        r.error = "more than 64 KiB of header";
    } else if (left_host_) {
        r.error = "redirected to another host";
    } else if (code == CURLE_COULDNT_RESOLVE_HOST) {
        r.failure = HttpFailure::Resolve;
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        r.failure = HttpFailure::Timeout;
        r.error = "timed out after " + std::to_string(to_ms(timeout_)) + " ms";
    } else if (is_tls_error(code)) {
        r.failure = HttpFailure::Tls;
    } else if (code == CURLE_COULDNT_CONNECT) {
        const int error = static_cast<int>(os_error);
        r.failure = error == ECONNREFUSED ? HttpFailure::Refused : HttpFailure::Unreachable;
        if (error == ECONNREFUSED)
            r.error = "connection refused";
        else if (error != 0)
            r.error = std::generic_category().message(error) +
                      (socket_.empty() ? "" : " (" + socket_ + ")");
    }
}

CurlEasy Transfer::release() {
    curl_easy_reset(easy());
    return std::move(easy_);
}

Transfer* Transfer::of(CURL* easy) noexcept {
    char* self = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &self);
    return static_cast<Transfer*>(static_cast<void*>(self));
}

} // namespace keepwell
