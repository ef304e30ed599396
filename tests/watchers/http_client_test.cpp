// The HTTP client against small servers on loopback.
#include "supervisor/net/curl_client.h"

#include "tests/support/byte_server.h"
#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

struct HttpExchange : testing::Test {
    uv::Loop loop;
    std::unique_ptr<CurlHttpClient> client = std::make_unique<CurlHttpClient>(loop);

    static HttpRequest request(const std::string& url, Duration timeout = 5s) {
        HttpRequest r;
        r.url = url;
        r.timeout = timeout;
        return r;
    }
    HttpResult get(const HttpRequest& r) {
        std::optional<HttpResult> got;
        client->start(r, [&](HttpResult result) { got = std::move(result); });
        EXPECT_FALSE(got) << "never from inside start()";
        EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
        return got.value_or(HttpResult{});
    }
};

// A port of loopback where nobody listens.
std::uint16_t dead_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof in;
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&in), size), 0);
    getsockname(fd, reinterpret_cast<sockaddr*>(&in), &size);
    close(fd);
    return ntohs(in.sin_port);
}

} // namespace

TEST_F(HttpExchange, AnswerHasStatusHeadersAndBody) {
    ByteServer server(
        ByteServer::always(ByteServer::response("200 OK", "hello", "X-One:  Two \r\n")));
    const auto r = get(request(server.url()));
    EXPECT_EQ(r.failure, HttpFailure::None);
    EXPECT_EQ(r.status, 200);
    EXPECT_EQ(r.body, "hello");
    EXPECT_GT(r.took, 0ns);
    EXPECT_NE(std::find(r.headers.begin(), r.headers.end(),
                        std::pair<std::string, std::string>("x-one", "Two")),
              r.headers.end());
}

TEST_F(HttpExchange, ServerErrorIsAnAnswer) {
    ByteServer server(ByteServer::always(ByteServer::response("503 Service Unavailable", "sorry")));
    const auto r = get(request(server.url()));
    EXPECT_EQ(r.failure, HttpFailure::None);
    EXPECT_EQ(r.status, 503);
}

TEST_F(HttpExchange, RequestCarriesMethodHeadersAndBody) {
    std::string seen;
    ByteServer server([&](int fd, const auto&) {
        ByteServer::read_request(fd, &seen);
        std::string body(4, '\0');
        recv(fd, body.data(), 4, MSG_WAITALL);
        seen += body;
        ByteServer::write_all(fd, ByteServer::response("200 OK", ""));
    });
    auto r = request(server.url("/x?y=1"));
    r.method = "PUT";
    r.headers = {{"X-Token", "abc"}, {"Host", "other.example"}};
    r.body = "ping";
    EXPECT_EQ(get(r).status, 200);
    EXPECT_TRUE(seen.starts_with("PUT /x?y=1 HTTP/1.1\r\n")) << seen;
    EXPECT_NE(seen.find("Host: other.example\r\n"), std::string::npos) << seen;
    EXPECT_NE(seen.find("X-Token: abc\r\n"), std::string::npos) << seen;
    EXPECT_TRUE(seen.ends_with("ping")) << seen;
}

TEST_F(HttpExchange, ConnectionIsReused) {
    ByteServer server(ByteServer::always(ByteServer::response("200 OK", "x")));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(get(request(server.url())).status, 200);
    EXPECT_EQ(server.accepted(), 1);
}

TEST_F(HttpExchange, NothingOfARequestStaysForTheNext) {
    std::vector<std::string> seen;
    ByteServer server([&](int fd, const auto&) {
        std::string text;
        while (ByteServer::read_request(fd, &text)) {
            seen.push_back(text);
            ByteServer::write_all(fd, ByteServer::response("200 OK", ""));
        }
    });
    auto head = request(server.url());
    head.method = "HEAD";
    head.headers = {{"X-Secret", "abc"}};
    EXPECT_EQ(get(head).status, 200);
    EXPECT_EQ(get(request(server.url())).status, 200);
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_TRUE(seen[1].starts_with("GET "));
    EXPECT_EQ(seen[1].find("X-Secret"), std::string::npos);
}

TEST_F(HttpExchange, SlowBodyEndsAtTheAbsoluteDeadline) {
    ByteServer server([](int fd, const std::atomic<bool>& stopping) {
        ByteServer::read_request(fd);
        ByteServer::write_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while (!stopping && ByteServer::write_all(fd, "x")) std::this_thread::sleep_for(100ms);
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto r = get(request(server.url(), 700ms));
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(r.failure, HttpFailure::Timeout);
    EXPECT_GE(took, 690ms);
    EXPECT_LT(took, 3s);
}

TEST_F(HttpExchange, SilentServerEndsAtTheDeadline) {
    ByteServer server([](int fd, const auto&) {
        char c = 0;
        while (recv(fd, &c, 1, 0) == 1) {
        }
    });
    EXPECT_EQ(get(request(server.url(), 300ms)).failure, HttpFailure::Timeout);
}

TEST_F(HttpExchange, EndlessBodyIsCutAtTheCap) {
    ByteServer server([](int fd, const std::atomic<bool>& stopping) {
        ByteServer::read_request(fd);
        ByteServer::write_all(fd, "HTTP/1.1 200 OK\r\n\r\n");
        const std::string chunk(8192, 'x');
        while (!stopping && ByteServer::write_all(fd, chunk)) {
        }
    });
    auto r = request(server.url());
    r.max_body = 10'000;
    const auto got = get(r);
    EXPECT_EQ(got.failure, HttpFailure::None);
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body.size(), 10'000U);
}

TEST_F(HttpExchange, EndlessHeaderIsAnError) {
    ByteServer server([](int fd, const std::atomic<bool>& stopping) {
        ByteServer::read_request(fd);
        ByteServer::write_all(fd, "HTTP/1.1 200 OK\r\n");
        while (!stopping &&
               ByteServer::write_all(fd, "X-Flood: " + std::string(500, 'x') + "\r\n")) {
        }
    });
    const auto got = get(request(server.url()));
    EXPECT_EQ(got.failure, HttpFailure::Other);
    EXPECT_EQ(got.error, "more than 64 KiB of header");
}

TEST_F(HttpExchange, RefusedConnectionIsTold) {
    const auto r = get(request("http://127.0.0.1:" + std::to_string(dead_port()) + "/"));
    EXPECT_EQ(r.failure, HttpFailure::Refused);
    EXPECT_EQ(r.error, "connection refused");
}

TEST_F(HttpExchange, ServerThatHangsUpOrTalksNonsenseIsAnError) {
    ByteServer rude([](int fd, const auto&) { ByteServer::read_request(fd); });
    EXPECT_EQ(get(request(rude.url())).failure, HttpFailure::Other);
    ByteServer odd([](int fd, const auto&) {
        ByteServer::read_request(fd);
        ByteServer::write_all(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
    });
    const auto r = get(request(odd.url()));
    EXPECT_EQ(r.failure, HttpFailure::Other);
    EXPECT_FALSE(r.error.empty());
}

TEST_F(HttpExchange, BadRequestsFailWithoutACallFromInsideStart) {
    for (const char* url : {"", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "::"}) {
        const auto r = get(request(url));
        EXPECT_EQ(r.failure == HttpFailure::None, false) << url;
        EXPECT_FALSE(r.error.empty()) << url;
    }
    auto split = request("http://127.0.0.1/");
    split.headers = {{"X", "a\r\nHost: evil"}};
    EXPECT_EQ(get(split).failure, HttpFailure::Other);
}

TEST_F(HttpExchange, RedirectIsNotFollowedUnlessAskedFor) {
    ByteServer target(ByteServer::always(ByteServer::response("200 OK", "target")));
    ByteServer server(ByteServer::always(
        ByteServer::response("302 Found", "", "Location: " + target.url() + "\r\n")));
    EXPECT_EQ(get(request(server.url())).status, 302);
    EXPECT_EQ(target.accepted(), 0);
    auto r = request(server.url());
    r.follow_redirects = 1;
    EXPECT_EQ(get(r).body, "target");

    ByteServer to_file(ByteServer::always(
        ByteServer::response("302 Found", "", "Location: file:///etc/passwd\r\n")));
    r = request(to_file.url());
    r.follow_redirects = 3;
    EXPECT_EQ(get(r).failure, HttpFailure::Other);
}

TEST_F(HttpExchange, RedirectsEndAtTheirLimitAndAtTheHost) {
    ByteServer loop_server(
        ByteServer::always(ByteServer::response("302 Found", "", "Location: /again\r\n")));
    auto r = request(loop_server.url());
    r.follow_redirects = 5;
    EXPECT_EQ(get(r).failure, HttpFailure::Other) << "a loop is no answer";

    ByteServer inner(ByteServer::always(ByteServer::response("200 OK", "secret")));
    const std::string elsewhere = "http://localhost:" + std::to_string(inner.port()) + "/";
    ByteServer server(ByteServer::always(
        ByteServer::response("302 Found", "", "Location: " + elsewhere + "\r\n")));
    r = request(server.url());
    r.follow_redirects = 5;
    const auto got = get(r);
    EXPECT_EQ(got.failure, HttpFailure::Other);
    EXPECT_EQ(got.error, "redirected to another host");
    EXPECT_EQ(got.body, "");
}

TEST_F(HttpExchange, UnixSocketIsSpokenTo) {
    std::string folder = testing::TempDir() + "kw-http-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/s";
    {
        ByteServer server(ByteServer::always(ByteServer::response("200 OK", "local")), path);
        auto r = request("http://localhost/x");
        r.unix_socket = path;
        EXPECT_EQ(get(r).body, "local");
        r.unix_socket = folder + "/none";
        const auto missing = get(r);
        EXPECT_EQ(missing.failure, HttpFailure::Unreachable);
        EXPECT_EQ(missing.error, "No such file or directory (" + folder + "/none)");
    }
    std::filesystem::remove_all(folder);
}

TEST_F(HttpExchange, ProxyVariablesOfTheEnvironmentAreIgnored) {
    const std::string dead = "http://127.0.0.1:" + std::to_string(dead_port());
    for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"})
        setenv(name, dead.c_str(), 1);
    ByteServer server(ByteServer::always(ByteServer::response("200 OK", "direct")));
    EXPECT_EQ(get(request(server.url())).body, "direct");
}

TEST_F(HttpExchange, CancelledRequestNeverCallsBack) {
    ByteServer silent([](int fd, const auto&) {
        char c = 0;
        while (recv(fd, &c, 1, 0) == 1) {
        }
    });
    ByteServer server(ByteServer::always(ByteServer::response("200 OK", "")));
    bool called = false;
    const auto id = client->start(request(silent.url(), 200ms), [&](auto) { called = true; });
    EXPECT_TRUE(run_until(loop, [&] { return silent.accepted() == 1; }));
    client->cancel(id);
    client->cancel(id);
    client->cancel(12345);
    const auto bad = client->start(request("ftp://x/"), [&](auto) { called = true; });
    client->cancel(bad);
    EXPECT_EQ(get(request(server.url())).status, 200);
    EXPECT_FALSE(run_until(
        loop, [&] { return called; }, 400ms));
}

TEST_F(HttpExchange, CallbackMayStartCancelAndDestroy) {
    ByteServer server(ByteServer::always(ByteServer::response("200 OK", "")));
    int answers = 0;
    client->start(request(server.url()), [&](auto) {
        ++answers;
        const auto other = client->start(request(server.url()), [&](auto) { ++answers; });
        client->cancel(other);
        client->start(request(server.url()), [&](auto) {
            ++answers;
            client.reset();
        });
    });
    EXPECT_TRUE(run_until(loop, [&] { return !client; }));
    EXPECT_EQ(answers, 2);
}

TEST_F(HttpExchange, DestroyedClientWithRequestsUnderWayCallsNobody) {
    ByteServer silent([](int fd, const auto&) {
        char c = 0;
        while (recv(fd, &c, 1, 0) == 1) {
        }
    });
    for (int i = 0; i < 20; ++i)
        client->start(request(silent.url()), [](auto) { FAIL() << "called"; });
    EXPECT_TRUE(run_until(loop, [&] { return silent.accepted() == 20; }));
    client.reset();
    EXPECT_FALSE(run_until(
        loop, [] { return false; }, 50ms));
}

TEST_F(HttpExchange, ServerThatRestartsIsFoundAgain) {
    auto server =
        std::make_unique<ByteServer>(ByteServer::always(ByteServer::response("200 OK", "a")));
    const auto url = server->url();
    EXPECT_EQ(get(request(url)).status, 200);
    server.reset(); // the pooled connection is dead now
    EXPECT_EQ(get(request(url)).failure, HttpFailure::Refused);
}

TEST_F(HttpExchange, TwoHundredAtOnceAllAnswer) {
    ByteServer server([](int fd, const auto&) {
        ByteServer::read_request(fd);
        ByteServer::write_all(fd, ByteServer::response("200 OK", "", "Connection: close\r\n"));
    });
    int ok = 0;
    for (int i = 0; i < 200; ++i)
        client->start(request(server.url(), 20s), [&](HttpResult r) { ok += r.status == 200; });
    EXPECT_TRUE(run_until(loop, [&] { return ok == 200; }));
}
