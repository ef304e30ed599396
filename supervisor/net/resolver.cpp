#include "supervisor/net/resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <utility>

namespace keepwell {

namespace {

constexpr std::size_t kAtOnce = 2; // of libuv's four threads

struct AddrInfoFree {
    void operator()(addrinfo* list) const noexcept { uv_freeaddrinfo(list); }
};

SocketAddress to_address(const addrinfo& info) {
    SocketAddress a;
    a.length = std::min<socklen_t>(info.ai_addrlen, sizeof a.storage);
    std::memcpy(&a.storage, info.ai_addr, a.length);
    return a;
}

} // namespace

std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0)
        return std::nullopt;
    const SocketAddress a = to_address(*list);
    freeaddrinfo(list);
    return a;
}

struct Resolver::Impl : std::enable_shared_from_this<Resolver::Impl> {
    struct Asker {
        std::uint64_t id;
        std::function<void(const Answer&)> callback;
    };
    // The request's memory belongs to libuv until its callback, whatever becomes of the resolver.
    struct Lookup {
        uv_getaddrinfo_t request{};
        std::weak_ptr<Impl> owner;
        std::string host;
    };

    explicit Impl(uv::Loop& l) : loop(l) {}

    void ask(const std::string& host, Asker asker) {
        const bool known = askers.contains(host);
        askers[host].push_back(std::move(asker));
        if (known) return;
        waiting.push_back(host);
        pump();
    }
    void forget(std::uint64_t id) noexcept {
        for (auto& [host, list] : askers)
            std::erase_if(list, [id](const Asker& a) { return a.id == id; });
    }

    void pump() {
        while (running < kAtOnce && !waiting.empty()) {
            const std::string host = std::move(waiting.front());
            waiting.pop_front();
            if (askers[host].empty()) { // everybody gave up meanwhile
                askers.erase(host);
                continue;
            }
            begin(host);
        }
    }
    void begin(const std::string& host) {
        auto lookup = std::make_unique<Lookup>();
        lookup->owner = weak_from_this();
        lookup->host = host;
        lookup->request.data = lookup.get();
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_ADDRCONFIG;
        const int rc = uv_getaddrinfo(loop.raw(), &lookup->request, &Impl::on_answer, host.c_str(),
                                      nullptr, &hints);
        if (rc == 0) {
            ++running;
            static_cast<void>(lookup.release());
            return;
        }
        // Not from inside resolve(): the next turn of the loop tells them.
        failed.emplace_back(host, rc);
        if (!soon) soon = std::make_unique<uv::Timer>(loop, [this] { tell_failed(); });
        soon->start(0);
    }
    void tell_failed() {
        const auto self = shared_from_this();
        while (!failed.empty()) {
            const auto [host, rc] = std::move(failed.front());
            failed.pop_front();
            finish(host, rc, nullptr);
        }
    }

    static void on_answer(uv_getaddrinfo_t* request, int status, addrinfo* list) noexcept {
        const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
        const std::unique_ptr<addrinfo, AddrInfoFree> results(list);
        if (const auto self = lookup->owner.lock()) {
            --self->running;
            self->finish(lookup->host, status, results.get());
            self->pump();
        }
    }
    void finish(const std::string& host, int status, const addrinfo* list) {
        Answer answer;
        for (const addrinfo* a = list; status == 0 && a != nullptr; a = a->ai_next)
            answer.addresses.push_back(to_address(*a));
        if (answer.addresses.empty()) answer.error = "cannot resolve " + host;
        // One by one: a callback may forget others of the list or ask for the same name again.
        const auto node = askers.extract(host);
        if (node.empty()) return;
        auto& told = node.mapped();
        being_told = &told;
        while (!told.empty()) {
            const Asker next = std::move(told.front());
            told.pop_front();
            next.callback(answer);
        }
        being_told = nullptr;
    }
    void forget_told(std::uint64_t id) noexcept {
        if (being_told != nullptr)
            std::erase_if(*being_told, [id](const Asker& a) { return a.id == id; });
    }
    void close() noexcept {
        askers.clear();
        waiting.clear();
        failed.clear();
        if (being_told != nullptr) being_told->clear();
        soon.reset();
    }

    uv::Loop& loop;
    std::map<std::string, std::deque<Asker>> askers;
    std::deque<Asker>* being_told = nullptr;
    std::deque<std::string> waiting;
    std::deque<std::pair<std::string, int>> failed;
    std::unique_ptr<uv::Timer> soon;
    std::size_t running = 0;
};

Resolver::Resolver(uv::Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}
Resolver::~Resolver() { impl_->close(); }

void Resolver::resolve(const std::string& host, std::uint64_t asker,
                       std::function<void(const Answer&)> callback) {
    impl_->ask(host, {asker, std::move(callback)});
}
void Resolver::forget(std::uint64_t asker) noexcept {
    impl_->forget(asker);
    impl_->forget_told(asker);
}

} // namespace keepwell
