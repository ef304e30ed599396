// A dead name server: getaddrinfo is replaced here and hangs for *.dead until told otherwise.
#include "supervisor/net/curl_client.h"
#include "supervisor/net/resolver.h"
#include "supervisor/net/uv_tcp_probe.h"

#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <dlfcn.h>
#include <netdb.h>
#include <optional>
#include <string_view>
#include <thread>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {
std::atomic<bool> g_server_is_dead{true};
std::atomic<int> g_hanging{0}, g_most_hanging{0};
} // namespace

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result) {
    using Real = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "getaddrinfo"));
    if (node == nullptr || !std::string_view(node).ends_with(".dead") ||
        (hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0))
        return real(node, service, hints, result);
    const int now = ++g_hanging;
    int most = g_most_hanging;
    while (most < now && !g_most_hanging.compare_exchange_weak(most, now)) {
    }
    while (g_server_is_dead) std::this_thread::sleep_for(5ms);
    --g_hanging;
    return EAI_AGAIN;
}

namespace {

struct DeadNameServer : testing::Test {
    uv::Loop loop;
    DeadNameServer() {
        g_server_is_dead = true;
        g_most_hanging = 0;
    }
    ~DeadNameServer() override {
        g_server_is_dead = false; // the threads must come back before the process may end
        while (g_hanging > 0) std::this_thread::sleep_for(1ms);
    }
};

} // namespace

TEST_F(DeadNameServer, HttpDeadlineHoldsAndTheLoopIsNotBlocked) {
    CurlHttpClient client(loop);
    HttpRequest r;
    r.url = "http://shop.dead/";
    r.timeout = 300ms;
    std::optional<HttpResult> got;
    const auto begin = std::chrono::steady_clock::now();
    client.start(r, [&](HttpResult result) { got = std::move(result); });
    EXPECT_TRUE(run_until(
        loop, [&] { return got.has_value(); }, 5s));
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(got);
    EXPECT_EQ(got->failure, HttpFailure::Timeout);
    EXPECT_LT(took, 2s) << "the resolver's thread was waited for";
}

TEST_F(DeadNameServer, HttpCancelAndDestroyDoNotWait) {
    const auto begin = std::chrono::steady_clock::now();
    {
        CurlHttpClient client(loop);
        HttpRequest r;
        r.url = "http://shop.dead/";
        r.timeout = 30s;
        const auto id = client.start(r, [](auto) { FAIL() << "called"; });
        client.start(r, [](auto) { FAIL() << "called"; });
        EXPECT_TRUE(run_until(
            loop, [] { return g_hanging > 0; }, 5s));
        client.cancel(id);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(DeadNameServer, TcpDeadlineHoldsAndThePoolKeepsThreadsForOthers) {
    UvTcpProbe probe(loop);
    int timeouts = 0;
    for (int i = 0; i < 8; ++i) {
        TcpRequest r;
        r.host = "db" + std::to_string(i) + ".dead";
        r.port = 5432;
        r.timeout = 300ms;
        probe.start(r, [&](TcpResult result) { timeouts += result.error == "timed out"; });
    }
    bool worked = false;
    const auto token = uv::run_in_pool(
        loop, [] {}, [&] { worked = true; });
    EXPECT_TRUE(run_until(
        loop, [&] { return worked && timeouts == 8; }, 5s));
    EXPECT_LE(g_most_hanging, 2);
}

TEST_F(DeadNameServer, FailedLookupIsTold) {
    g_server_is_dead = false;
    UvTcpProbe probe(loop);
    TcpRequest r;
    r.host = "db.dead";
    r.port = 5432;
    r.timeout = 5s;
    std::optional<TcpResult> got;
    probe.start(r, [&](TcpResult result) { got = std::move(result); });
    EXPECT_TRUE(run_until(
        loop, [&] { return got.has_value(); }, 5s));
    EXPECT_EQ(got->error, "cannot resolve db.dead");
}

TEST_F(DeadNameServer, ProbeMayBeDestroyedDuringALookup) {
    {
        UvTcpProbe probe(loop);
        TcpRequest r;
        r.host = "db.dead";
        r.timeout = 30s;
        probe.start(r, [](auto) { FAIL() << "called"; });
        EXPECT_TRUE(run_until(
            loop, [] { return g_hanging > 0; }, 5s));
    }
    g_server_is_dead = false;
    EXPECT_FALSE(run_until(
        loop, [] { return false; }, 100ms));
}
