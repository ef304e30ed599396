#include "supervisor/cli/async_client.h"

#include "supervisor/cli/transfer.h"

#include <cerrno>
#include <map>

namespace keepwell::cli {

struct AsyncClient::Impl {
    struct Request {
        Transfer transfer;
        Done done;
    };
    struct MultiDeleter {
        void operator()(CURLM* handle) const noexcept { curl_multi_cleanup(handle); }
    };
    std::string path;
    std::unique_ptr<CURLM, MultiDeleter> multi{curl_multi_init()};
    std::map<CURL*, std::unique_ptr<Request>> requests;

    void begin(const std::string& target, const std::string* json, long timeout_ms, Done done) {
        auto request = std::make_unique<Request>();
        if (!multi || !request->transfer || path.size() >= kLongestSocketPath) {
            return done(Error{"cannot reach keepwell at " + path + ": no HTTP client", ENOMEM});
        }
        request->transfer.prepare(path, target, json, timeout_ms);
        request->done = std::move(done);
        CURL* handle = request->transfer.handle();
        curl_multi_add_handle(multi.get(), handle);
        requests.emplace(handle, std::move(request));
    }

    void finish() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            CURL* handle = message->easy_handle;
            curl_multi_remove_handle(multi.get(), handle);
            const auto node = requests.extract(handle);
            if (node.empty()) continue;
            Request& request = *node.mapped();
            request.done(request.transfer.result(code, path));
        }
    }
};

AsyncClient::AsyncClient(std::string socket_path) : impl_(std::make_unique<Impl>()) {
    impl_->path = std::move(socket_path);
}
AsyncClient::~AsyncClient() {
    for (auto& [handle, request] : impl_->requests)
        curl_multi_remove_handle(impl_->multi.get(), handle);
}

void AsyncClient::get(const std::string& path, long timeout_ms, Done done) {
    impl_->begin(path, nullptr, timeout_ms, std::move(done));
}
void AsyncClient::post(const std::string& path, const std::string& json, long timeout_ms,
                       Done done) {
    impl_->begin(path, &json, timeout_ms, std::move(done));
}

void AsyncClient::wait(std::vector<pollfd>& others, int timeout_ms) {
    std::vector<curl_waitfd> extra;
    extra.reserve(others.size());
    for (const auto& other : others) extra.push_back({other.fd, CURL_WAIT_POLLIN, 0});
    int running = 0;
    curl_multi_perform(impl_->multi.get(), &running);
    impl_->finish();
    curl_multi_perform(impl_->multi.get(), &running); // what the callbacks began
    curl_multi_poll(impl_->multi.get(), extra.data(), static_cast<unsigned>(extra.size()),
                    timeout_ms, nullptr);
    for (std::size_t i = 0; i < others.size(); ++i) others[i].revents = extra[i].revents;
    curl_multi_perform(impl_->multi.get(), &running);
    impl_->finish();
}

} // namespace keepwell::cli
