// Transfer: one exchange on one pooled curl easy handle: its options, what arrives, what came of
// it.
//
// The handle carries pointers into the Transfer, so it stays in place until release().
#pragma once

#include "units/ports/http_client.h"

#include <curl/curl.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace keepwell {

struct CurlEasyCloser {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
using CurlEasy = std::unique_ptr<CURL, CurlEasyCloser>;

struct CurlListCloser {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, CurlListCloser>;

class Transfer {
  public:
    // Throws std::bad_alloc only. `easy` may have been used before.
    Transfer(CurlEasy easy, RequestId id, const HttpRequest&, std::function<void(HttpResult)> done);
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    RequestId id() const noexcept { return id_; }
    CURL* easy() const noexcept { return easy_.get(); }
    // Not empty: the request cannot be made at all; do not add it to a multi handle.
    const std::string& refused() const noexcept { return refused_; }

    HttpResult result(CURLcode);
    std::function<void(HttpResult)> take_callback() { return std::move(callback_); }
    CurlEasy release(); // reset, ready for the next one; not while it is in a multi handle

    static Transfer* of(CURL* easy) noexcept;

  private:
    void set_common(const HttpRequest&);
    void set_method(const HttpRequest&);
    void set_headers(const HttpRequest&);
    void set_tls(const HttpRequest&);
    void set_hooks();
    template <class T>
    void set(CURLoption, T value);

    int may_request();
    std::size_t on_body(const char* data, std::size_t size);
    std::size_t on_header(std::string_view line);
    void describe_failure(CURLcode, HttpResult&) const;

    CurlEasy easy_;
    RequestId id_;
    std::function<void(HttpResult)> callback_;
    CurlList headers_;
    std::array<char, CURL_ERROR_SIZE> error_{};
    std::string refused_;
    std::string socket_; // unix socket, for messages
    std::string host_;   // of the URL that was asked for
    Duration timeout_;
    std::size_t max_body_;
    std::size_t header_bytes_ = 0;
    bool body_cut_ = false;
    bool header_flood_ = false;
    bool left_host_ = false;
    HttpResult partial_;
};

} // namespace keepwell
