// Transfer: one HTTP request to a unix socket as libcurl wants it; used by Client and AsyncClient.
#pragma once

#include "supervisor/cli/client.h"

#include <curl/curl.h>
#include <memory>
#include <string>
#include <sys/un.h>

namespace keepwell::cli {

inline constexpr std::size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path);

class Transfer {
  public:
    Transfer();
    explicit operator bool() const { return easy_ != nullptr; }
    // json: nullptr = GET. The strings are copied by libcurl but for the body, which is kept here.
    void prepare(const std::string& socket_path, const std::string& target, const std::string* json,
                 long timeout_ms);
    CURL* handle() { return easy_.get(); }
    Result<Response> result(CURLcode, const std::string& socket_path);

  private:
    struct EasyDeleter {
        void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    };
    struct ListDeleter {
        void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
    };
    std::unique_ptr<CURL, EasyDeleter> easy_;
    std::unique_ptr<curl_slist, ListDeleter> headers_;
    std::string sent_;
    Response response_;
};

} // namespace keepwell::cli
