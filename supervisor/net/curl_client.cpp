#include "supervisor/net/curl_client.h"

#include "supervisor/net/curl_transfer.h"

#include <sys/resource.h>

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

namespace keepwell {

namespace {

constexpr std::size_t kIdleHandles = 1024; // pooled easy handles hold some KiB each

void global_init() {
    static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (once != CURLE_OK) throw std::runtime_error("cannot initialise libcurl");
}

std::size_t affordable(std::size_t wanted) noexcept {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    return std::min<std::size_t>(wanted, std::max<rlim_t>(limit.rlim_cur / 4, 16));
}

struct MultiCloser {
    void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};

} // namespace

struct CurlHttpClient::Impl {
    struct Finished {
        RequestId id;
        std::function<void(HttpResult)> callback;
        HttpResult result;
    };

    Impl(uv::Loop& l, std::size_t idle_connections)
        : loop(l),
          timer(l, [this] { act(CURL_SOCKET_TIMEOUT, 0); }),
          deliver_soon(l, [this] { deliver(); }) {
        global_init();
        multi.reset(curl_multi_init());
        if (!multi) throw std::bad_alloc();
        const auto kept = static_cast<long>(affordable(idle_connections));
        curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kept);
        curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, &Impl::on_socket);
        curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
        curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, &Impl::on_timer);
    }

    ~Impl() {
        *alive = false;
        for (auto& [id, transfer] : transfers)
            curl_multi_remove_handle(multi.get(), transfer->easy());
        transfers.clear();
        idle.clear();
        // Closing the pooled connections shall not call back into what is half gone.
        curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, nullptr);
        curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, nullptr);
        sockets.clear();
    }

    // Called from inside libcurl: only changes what is watched, never acts.
    static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) noexcept {
        try {
            static_cast<Impl*>(self)->watch(fd, what);
            return 0;
        } catch (const std::exception&) {
            return -1; // libcurl then fails all that is under way
        }
    }
    static int on_timer(CURLM*, long ms, void* self) noexcept {
        auto& timer = static_cast<Impl*>(self)->timer;
        if (ms < 0)
            timer.stop();
        else
            timer.start(static_cast<std::uint64_t>(ms)); // also for 0: libcurl is not re-entrant
        return 0;
    }

    void watch(curl_socket_t fd, int what) {
        if (what == CURL_POLL_REMOVE) {
            sockets.erase(fd);
            return;
        }
        auto& poll = sockets[fd];
        if (!poll)
            poll = std::make_unique<uv::Poll>(
                loop, fd, [this, fd](int status, int events) { ready(fd, status, events); });
        poll->start((what & CURL_POLL_IN ? UV_READABLE : 0) |
                    (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
    }

    void ready(curl_socket_t fd, int status, int events) {
        int mask = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                   (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
        if (status < 0) mask = CURL_CSELECT_ERR;
        act(fd, mask);
    }

    void act(curl_socket_t fd, int mask) {
        int running = 0;
        curl_multi_socket_action(multi.get(), fd, mask, &running);
        collect();
        deliver(); // may destroy this
    }

    void collect() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            Transfer* transfer = Transfer::of(message->easy_handle);
            const CURLcode code = message->data.result; // gone with the handle
            finished.push_back({transfer->id(), transfer->take_callback(), transfer->result(code)});
            retire(transfers.find(transfer->id()));
        }
    }

    using Transfers = std::unordered_map<RequestId, std::unique_ptr<Transfer>>;
    void retire(Transfers::iterator it) {
        curl_multi_remove_handle(multi.get(), it->second->easy());
        if (idle.size() < kIdleHandles) idle.push_back(it->second->release());
        transfers.erase(it);
    }

    // Callbacks may start, cancel and destroy; nothing of this is touched after the last one.
    void deliver() {
        const std::shared_ptr<bool> still = alive;
        while (*still && !finished.empty()) {
            auto next = std::move(finished.front());
            finished.pop_front();
            next.callback(std::move(next.result));
        }
    }

    CurlEasy take_handle() {
        if (!idle.empty()) {
            CurlEasy easy = std::move(idle.back());
            idle.pop_back();
            return easy;
        }
        CurlEasy easy(curl_easy_init());
        if (!easy) throw std::bad_alloc();
        return easy;
    }

    uv::Loop& loop;
    std::unique_ptr<CURLM, MultiCloser> multi;
    Transfers transfers;
    std::vector<CurlEasy> idle;
    std::unordered_map<curl_socket_t, std::unique_ptr<uv::Poll>> sockets;
    std::deque<Finished> finished;
    uv::Timer timer;
    uv::Timer deliver_soon; // for requests that fail before they begin
    RequestId next_id = 1;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

CurlHttpClient::CurlHttpClient(uv::Loop& loop, std::size_t idle_connections)
    : loop_(loop), idle_connections_(idle_connections) {}
CurlHttpClient::~CurlHttpClient() = default;

RequestId CurlHttpClient::start(const HttpRequest& request,
                                std::function<void(HttpResult)> callback) {
    if (!impl_) impl_ = std::make_unique<Impl>(loop_, idle_connections_);
    const RequestId id = impl_->next_id++;
    auto transfer =
        std::make_unique<Transfer>(impl_->take_handle(), id, request, std::move(callback));
    std::string problem = transfer->refused();
    if (problem.empty()) {
        const CURLMcode code = curl_multi_add_handle(impl_->multi.get(), transfer->easy());
        if (code == CURLM_OK) {
            impl_->transfers.emplace(id, std::move(transfer));
            return id;
        }
        problem = std::string("cannot make the request: ") + curl_multi_strerror(code);
    }
    HttpResult result;
    result.failure = HttpFailure::Other;
    result.error = std::move(problem);
    impl_->finished.push_back({id, transfer->take_callback(), std::move(result)});
    impl_->deliver_soon.start(0);
    return id;
}

void CurlHttpClient::cancel(RequestId id) noexcept {
    if (!impl_) return;
    const auto it = impl_->transfers.find(id);
    if (it != impl_->transfers.end()) return impl_->retire(it);
    std::erase_if(impl_->finished, [id](const auto& f) { return f.id == id; });
}

} // namespace keepwell
