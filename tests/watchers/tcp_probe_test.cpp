// The TCP probe against small servers on loopback.
#include "supervisor/net/uv_tcp_probe.h"

#include "tests/support/byte_server.h"
#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

struct TcpProbing : testing::Test {
    uv::Loop loop;
    std::unique_ptr<UvTcpProbe> probe = std::make_unique<UvTcpProbe>(loop);

    static TcpRequest request(std::uint16_t port, Duration timeout = 5s) {
        TcpRequest r;
        r.host = "127.0.0.1";
        r.port = port;
        r.timeout = timeout;
        return r;
    }
    TcpResult run(const TcpRequest& r) {
        std::optional<TcpResult> got;
        probe->start(r, [&](TcpResult result) { got = std::move(result); });
        EXPECT_FALSE(got) << "never from inside start()";
        EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
        return got.value_or(TcpResult{});
    }
};

void swallow(int fd, const std::atomic<bool>&) {
    char c = 0;
    while (recv(fd, &c, 1, 0) == 1) {
    }
}

std::uint16_t dead_port() {
    const ByteServer gone(swallow);
    return gone.port();
}

} // namespace

TEST_F(TcpProbing, AcceptedConnectionIsEnough) {
    ByteServer server(swallow);
    const auto r = run(request(server.port()));
    EXPECT_TRUE(r.ok) << r.error;
    EXPECT_GT(r.took, 0ns);
}

TEST_F(TcpProbing, RefusedIsTold) {
    const auto r = run(request(dead_port()));
    EXPECT_FALSE(r.ok);
    EXPECT_EQ(r.error, "connection refused");
}

TEST_F(TcpProbing, NamesAreResolved) {
    ByteServer server(swallow);
    auto r = request(server.port());
    r.host = "localhost"; // may have ::1 first, where nobody listens
    EXPECT_TRUE(run(r).ok);
    r.port = dead_port();
    EXPECT_EQ(run(r).error, "connection refused");
}

TEST_F(TcpProbing, BadAddressIsAnError) {
    auto r = request(1);
    r.host = "";
    EXPECT_FALSE(run(r).ok);
    r.host = std::string(300, 'x');
    EXPECT_FALSE(run(r).ok);
    r.host = "255.255.255.255";
    EXPECT_FALSE(run(r).ok);
}

TEST_F(TcpProbing, SendAndExpectAreExchanged) {
    ByteServer server([](int fd, const auto&) {
        std::string got(6, '\0');
        recv(fd, got.data(), 6, MSG_WAITALL);
        if (got != "PING\r\n") return;
        ByteServer::write_all(fd, "+PO");
        std::this_thread::sleep_for(20ms);
        ByteServer::write_all(fd, "NG\r\n");
        char c = 0;
        recv(fd, &c, 1, 0);
    });
    auto r = request(server.port());
    r.send = "PING\r\n";
    r.expect = "PONG";
    const auto got = run(r);
    EXPECT_TRUE(got.ok) << got.error;
}

TEST_F(TcpProbing, WrongAnswerSaysWhatCame) {
    ByteServer server([](int fd, const auto&) { ByteServer::write_all(fd, "-ERR no\r\n"); });
    auto r = request(server.port());
    r.expect = "PONG";
    EXPECT_EQ(run(r).error, "expected \"PONG\", got \"-ERR no\"");
}

TEST_F(TcpProbing, FloodIsReadUpToFourKibibytes) {
    ByteServer server([](int fd, const std::atomic<bool>& stopping) {
        const std::string chunk(1000, 'x');
        while (!stopping && ByteServer::write_all(fd, chunk)) {
        }
    });
    auto r = request(server.port());
    r.expect = "PONG";
    EXPECT_TRUE(run(r).error.starts_with("expected \"PONG\", got \"xxx"));
}

TEST_F(TcpProbing, OneByteAtATimeEndsAtTheAbsoluteDeadline) {
    ByteServer server([](int fd, const std::atomic<bool>& stopping) {
        while (!stopping && ByteServer::write_all(fd, "x")) std::this_thread::sleep_for(50ms);
    });
    auto r = request(server.port(), 400ms);
    r.expect = "PONG";
    const auto begin = std::chrono::steady_clock::now();
    const auto got = run(r);
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(got.error, "timed out");
    EXPECT_GE(took, 390ms);
    EXPECT_LT(took, 3s);
}

TEST_F(TcpProbing, FullReceiverDoesNotHoldTheDeadline) {
    ByteServer server([](int fd, const std::atomic<bool>& stopping) {
        while (!stopping) std::this_thread::sleep_for(10ms); // never reads
        shutdown(fd, SHUT_RDWR);
    });
    auto r = request(server.port(), 300ms);
    r.send = std::string(32U << 20, 'x');
    EXPECT_EQ(run(r).error, "timed out");
}

TEST_F(TcpProbing, CancelledProbeNeverCallsBack) {
    ByteServer server(swallow);
    bool called = false;
    auto r = request(server.port(), 200ms);
    r.expect = "never";
    const auto id = probe->start(r, [&](auto) { called = true; });
    EXPECT_TRUE(run_until(loop, [&] { return server.accepted() == 1; }));
    probe->cancel(id);
    probe->cancel(id);
    const auto refused = probe->start(request(dead_port()), [&](auto) { called = true; });
    probe->cancel(refused);
    EXPECT_FALSE(run_until(
        loop, [&] { return called; }, 300ms));
}

TEST_F(TcpProbing, CallbackMayStartAndDestroy) {
    ByteServer server(swallow);
    probe->start(request(server.port()),
                 [&](auto) { probe->start(request(server.port()), [&](auto) { probe.reset(); }); });
    EXPECT_TRUE(run_until(loop, [&] { return !probe; }));
}

TEST_F(TcpProbing, DestroyedProbeWithRequestsUnderWayCallsNobody) {
    ByteServer server(swallow);
    auto r = request(server.port());
    r.expect = "never";
    for (int i = 0; i < 20; ++i) probe->start(r, [](auto) { FAIL() << "called"; });
    r.host = "localhost";
    for (int i = 0; i < 20; ++i) probe->start(r, [](auto) { FAIL() << "called"; });
    EXPECT_TRUE(run_until(loop, [&] { return server.accepted() >= 20; }));
    probe.reset();
    EXPECT_FALSE(run_until(
        loop, [] { return false; }, 50ms));
}

TEST_F(TcpProbing, UnixSocketsAreSpokenTo) {
    const std::string path = testing::TempDir() + "kw-unix-" + std::to_string(getpid());
    TcpRequest r;
    r.unix_socket = path;
    r.send = "PING\n";
    r.expect = "PONG";
    r.timeout = 5s;
    EXPECT_EQ(run(r).error, "no such file or directory");
    {
        ByteServer server(
            [](int fd, const auto&) {
                char text[5];
                if (recv(fd, text, 5, MSG_WAITALL) == 5) (void)!write(fd, "PONG\n", 5);
            },
            path);
        EXPECT_TRUE(run(r).ok);
    }
    EXPECT_EQ(run(r).error, "connection refused");
    unlink(path.c_str());
    r.unix_socket = "/" + std::string(200, 'x');
    EXPECT_EQ(run(r).error, "the path is too long for a socket");
}

TEST_F(TcpProbing, AFullUnixSocketEndsAtTheDeadline) {
    const std::string path = testing::TempDir() + "kw-full-" + std::to_string(getpid());
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), at.sun_path);
    const int server = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(server, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(listen(server, 0), 0);
    const int first = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(connect(first, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    TcpRequest r;
    r.unix_socket = path;
    r.timeout = 300ms;
    const auto full = run(r);
    EXPECT_EQ(full.error, "timed out");
    EXPECT_LT(full.took, 3s);
    close(accept(server, nullptr, nullptr));
    r.timeout = 5s;
    EXPECT_TRUE(run(r).ok);
    close(first);
    close(server);
    unlink(path.c_str());
}
