#include "supervisor/net/cares_client.h"

#include "supervisor/net/dns_answer.h"

#include <ares.h>
#include <arpa/nameser.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <sys/time.h>
#include <utility>

namespace keepwell {

namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr int kTries = 3;
constexpr auto kShortestTry = 100ms;

struct ChannelClose {
    void operator()(ares_channel channel) const noexcept { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, ChannelClose>;

std::string error_text(int status, bool own_server) {
    switch (status) {
    case ARES_ENOTFOUND: return "no such name (NXDOMAIN)";
    case ARES_ENODATA: return "the name has no such record";
    case ARES_ESERVFAIL: return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED: return "the name server refused to answer";
    case ARES_EFORMERR: return "the name server did not understand the question";
    case ARES_ENOTIMP: return "the name server does not know such questions";
    case ARES_EBADNAME: return "this is not a name that can be asked for";
    case ARES_EBADRESP: return "the answer makes no sense";
    case ARES_ECONNREFUSED:
        return own_server ? "no name server is there (connection refused)"
                          : "no name server of resolv.conf answers it (refused, or failed)";
    default: return std::string("cannot ask: ") + ares_strerror(status);
    }
}

// c-ares wants an IPv6 address in brackets where a port may follow.
std::string bracketed(const std::string& server) {
    const bool bare = std::ranges::count(server, ':') > 1 && !server.starts_with('[');
    return bare ? '[' + server + ']' : server;
}

} // namespace

struct CaresClient::Impl {
    class Question {
      public:
        Question(Impl& owner, std::uint64_t id, const DnsRequest& request,
                 std::function<void(DnsResult)> callback)
            : callback_(std::move(callback)),
              owner_(owner),
              id_(id),
              record_(request.record),
              own_server_(!request.server.empty()),
              begin_(SteadyClock::now()),
              deadline_(begin_ + request.timeout),
              timer_(owner.loop, [this] { on_time(); }) {
            const int status = open(request);
            if (status == ARES_SUCCESS)
                ask(request);
            else
                end(status);
            settle_later();
        }
        DnsResult take_result() {
            result_.took = SteadyClock::now() - begin_;
            return std::move(result_);
        }
        std::function<void(DnsResult)> take_callback() { return std::move(callback_); }

      private:
        int open(const DnsRequest& request) {
            ares_options options{};
            const auto share = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::max<Duration>(request.timeout / 4, kShortestTry));
            options.timeout = static_cast<int>(std::min<std::int64_t>(share.count(), 60'000));
            options.tries = kTries;
            // What one server refuses the next one may know; of an only one its word is of
            // interest.
            options.flags = own_server_ ? ARES_FLAG_NOCHECKRESP : 0;
            // Its socket state: the loop polls for c-ares.
            options.sock_state_cb = [](void* self, ares_socket_t fd, int read, int write) {
                static_cast<Question*>(self)->watch(fd, read != 0, write != 0);
            };
            options.sock_state_cb_data = this;
            options.lookups = lookups_; // name servers only, never /etc/hosts
            ares_channel raw = nullptr;
            const int status =
                ares_init_options(&raw, &options,
                                  ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                      ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS);
            if (status != ARES_SUCCESS) return status;
            channel_.reset(raw);
            if (!own_server_) return ARES_SUCCESS;
            return ares_set_servers_ports_csv(raw, bracketed(request.server).c_str());
        }
        void ask(const DnsRequest& request) {
            const std::string name =
                record_ == DnsRecord::Ptr ? reverse_name(request.name) : request.name;
            ares_query(
                channel_.get(), name.c_str(), ns_c_in, dns_type(record_),
                [](void* self, int status, int /*timeouts*/, unsigned char* message, int size) {
                    if (status == ARES_EDESTRUCTION) return;
                    static_cast<Question*>(self)->answered(status, message, size);
                },
                this);
        }
        void answered(int status, const unsigned char* message, int size) {
            if (status != ARES_SUCCESS) return end(status);
            result_.answers = dns_answers(message, static_cast<std::size_t>(size), record_);
            if (result_.answers.empty()) return end(ARES_ENODATA);
            ended_ = true;
        }
        void end(int status) {
            ended_ = true;
            // The tries are over before the deadline is.
            result_.timed_out = status == ARES_ETIMEOUT;
            result_.error = result_.timed_out ? "timed out" : error_text(status, own_server_);
        }

        void watch(int fd, bool read, bool write) {
            if (!read && !write) {
                polls_.erase(fd);
                return;
            }
            const auto [it, fresh] =
                polls_.try_emplace(fd, owner_.loop, fd, [this, fd](int status, int events) {
                    const bool broken = status < 0; // c-ares finds out by reading
                    process(broken || (events & UV_READABLE) != 0 ? fd : ARES_SOCKET_BAD,
                            broken || (events & UV_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
                });
            it->second.start((read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0));
        }
        void process(int readable, int writable) {
            if (!ended_) ares_process_fd(channel_.get(), readable, writable);
            settle();
        }
        void on_time() {
            if (!ended_ && SteadyClock::now() >= deadline_) end(ARES_ETIMEOUT);
            process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        }
        void settle() { // may destroy this
            if (ended_)
                owner_.finish(id_);
            else
                settle_later();
        }
        void settle_later() {
            if (ended_) return timer_.start(0);
            const auto left = std::max<std::int64_t>(
                std::chrono::ceil<std::chrono::milliseconds>(deadline_ - SteadyClock::now())
                    .count(),
                0);
            timeval most{left / 1000, left % 1000 * 1000};
            timeval next{};
            const timeval* until = ares_timeout(channel_.get(), &most, &next);
            timer_.start(static_cast<std::uint64_t>(until->tv_sec) * 1000 +
                         static_cast<std::uint64_t>(until->tv_usec) / 1000 + 1);
        }

        std::function<void(DnsResult)> callback_;
        Impl& owner_;
        std::uint64_t id_;
        DnsRecord record_;
        bool own_server_;
        SteadyClock::time_point begin_, deadline_;
        DnsResult result_;
        bool ended_ = false;
        char lookups_[2] = "b";
        uv::Timer timer_;
        std::map<int, uv::Poll> polls_;
        Channel channel_; // last: closing it takes sockets out of polls_
    };

    explicit Impl(uv::Loop& l) : loop(l) { ares_library_init(ARES_LIB_INIT_ALL); }
    ~Impl() {
        questions.clear();
        ares_library_cleanup();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void finish(std::uint64_t id) {
        const auto node = questions.extract(id);
        if (node.empty()) return;
        DnsResult result = node.mapped()->take_result();
        const auto callback = node.mapped()->take_callback();
        callback(std::move(result)); // may destroy this
    }

    uv::Loop& loop;
    std::map<std::uint64_t, std::unique_ptr<Question>> questions;
    std::uint64_t next_id = 1;
};

CaresClient::CaresClient(uv::Loop& loop) : impl_(std::make_unique<Impl>(loop)) {}
CaresClient::~CaresClient() = default;

std::uint64_t CaresClient::start(const DnsRequest& request,
                                 std::function<void(DnsResult)> callback) {
    const std::uint64_t id = impl_->next_id++;
    impl_->questions.emplace(
        id, std::make_unique<Impl::Question>(*impl_, id, request, std::move(callback)));
    return id;
}

void CaresClient::cancel(std::uint64_t id) noexcept { impl_->questions.erase(id); }

} // namespace keepwell
