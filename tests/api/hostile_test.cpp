#include "api_support.h"

#include <gmock/gmock.h>

#include <random>

using namespace keepwell;
using namespace keepwell::test;

namespace {

class HostileTest : public ApiTest {
  protected:
    void expect_alive() { EXPECT_EQ(get("/api/health").status, 200); }
};

TEST_F(HostileTest, UnknownMethodsAreNotAllowed) {
    for (const char* method : {"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"}) {
        const Answer answer =
            exchange(std::string(method) + " /api/status HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(answer.status, 405) << method;
        EXPECT_EQ(answer.header("Allow"), "GET, HEAD, POST");
    }
}

TEST_F(HostileTest, NamesAreLookedUpAndNothingElse) {
    for (const char* target :
         {"/api/why/..", "/api/why/%2e%2e", "/api/why/a%2Fb", "/api/why/web%00x", "/api/why/",
          "/api/why/web/", "/api/why/web%2F..%2Fweb", "/../etc/passwd", "/%2e%2e/etc/passwd",
          "/api/status/daemon/%252e%252e", "//api/status", "/api/status/", "/nowhere"})
        EXPECT_EQ(get(target).status, 404) << target;
    for (const char* target : {"/api/why/%", "/api/why/%4", "/api/why/%zz"})
        EXPECT_EQ(get(target).status, 400) << target;
    const Answer whole = get("http://x/api/status");
    EXPECT_EQ(whole.status, 400);
    EXPECT_THAT(whole.body, testing::HasSubstr("ask for the path alone"));
    EXPECT_EQ(post("/api/services/..%2Fweb/stop").status, 404);
    EXPECT_EQ(post("/api/actions", R"({"verb":"stop","names":["../web"]})").status, 404);
    EXPECT_EQ(post("/api/actions", R"({"verb":"stop","names":["we\u0000b"]})").status, 404);
    EXPECT_TRUE(control.requests.empty());
}

TEST_F(HostileTest, ErrorsNeverEchoMarkupOrBytesThatAreNoText) {
    const Answer answer = get("/api/why/%3Cscript%3E%FF%1B");
    EXPECT_EQ(answer.status, 404);
    EXPECT_TRUE(answer.document()["error"].is_string());
    EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
}

TEST_F(HostileTest, ALengthGivenTwiceIsRefused) {
    const std::string head = "POST /api/shutdown HTTP/1.1\r\nHost: x\r\nContent-Type: "
                             "application/json\r\nX-Keepwell-Request: 1\r\n";
    EXPECT_EQ(
        exchange(head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status,
        400);
    const int twice = exchange(head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}").status;
    EXPECT_TRUE(twice == 400 || twice == 0) << twice;
    EXPECT_EQ(control.shutdowns, 0);
    expect_alive();
}

TEST_F(HostileTest, BodiesAreBounded) {
    const std::string fits = "{\"names\":[\"" + std::string(65'000, 'x') + "\"],\"verb\":\"stop\"}";
    EXPECT_EQ(post("/api/actions", fits).status, 404);
    EXPECT_EQ(post("/api/actions", std::string(70'000, ' ')).status, 413);
    const Answer huge = post("/api/actions", std::string(8'000'000, ' '));
    EXPECT_TRUE(huge.status == 413 || huge.status == 0) << huge.status;
    expect_alive();
}

TEST_F(HostileTest, AChunkedBodyIsReadAndBounded) {
    const std::string head = "POST /api/services/web/pause HTTP/1.1\r\nHost: x\r\nContent-Type: "
                             "application/json\r\nX-Keepwell-Request: 1\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n";
    EXPECT_EQ(exchange(head + "5\r\n{\"for\r\n7\r\n\":\"1m\"}\r\n0\r\n\r\n").status, 202);
    std::string chunks;
    for (int i = 0; i < 80; ++i) chunks += "400\r\n" + std::string(1024, 'x') + "\r\n";
    EXPECT_EQ(exchange(head + chunks + "0\r\n\r\n").status, 413);
}

TEST_F(HostileTest, HeadersAndTargetsAreBounded) {
    const int headers = get("/api/status", "X-Long: " + std::string(9'000, 'x') + "\r\n").status;
    EXPECT_EQ(headers, 431);
    const int target = get("/" + std::string(100'000, 'x')).status;
    EXPECT_TRUE(target == 414 || target == 431 || target == 400 || target == 0) << target;
    expect_alive();
}

TEST_F(HostileTest, AnyHostWillDoButNotNone) {
    EXPECT_EQ(exchange("GET /api/health HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 200);
    EXPECT_EQ(exchange("GET /api/health HTTP/1.1\r\n\r\n").status, 400);
}

TEST_F(HostileTest, GarbageEndsItsOwnConnectionOnly) {
    std::mt19937 random(42);
    for (int round = 0; round < 200; ++round) {
        std::string bytes(random() % 300, '\0');
        for (char& c : bytes) c = static_cast<char>(random() & 0xFFU);
        RawClient client(path);
        client.send_later(bytes + "\r\n\r\n");
        for (int i = 0; i < 3; ++i) {
            client.turn();
            uv::Timer tick(loop, [] {});
            tick.start(0);
            loop.run_once();
        }
    }
    expect_alive();
}

TEST_F(HostileTest, FiftySlowClientsDoNotStopAnother) {
    std::vector<std::unique_ptr<RawClient>> slow;
    control.document = "{\"x\":\"" + std::string(4'000'000, 'a') + "\"}";
    for (int i = 0; i < 50; ++i) {
        slow.push_back(std::make_unique<RawClient>(path));
        // Half a request, or a whole one whose answer is never read.
        slow.back()->send_later(i % 2 == 0 ? "POST /api/acti" : get_text("/api/status"));
        slow.back()->turn();
    }
    const auto begin = std::chrono::steady_clock::now();
    expect_alive();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1500));
    std::vector<double> times;
    for (int i = 0; i < 20; ++i) {
        const auto start = std::chrono::steady_clock::now();
        expect_alive();
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - start;
        times.push_back(took.count());
    }
    std::sort(times.begin(), times.end());
    EXPECT_LT(times[18], 50.0);
}

TEST_F(HostileTest, ClientsThatLeaveAreForgotten) {
    for (int i = 0; i < 100; ++i) {
        RawClient client(path);
        client.send_later(get_text(i % 2 == 0 ? "/api/status" : "/api/events?since=3&wait=30"));
        client.turn();
        uv::Timer tick(loop, [] {});
        tick.start(0);
        loop.run_once();
    }
    expect_alive();
}

TEST_F(HostileTest, PipelinedRequestsAreAnsweredInOrder) {
    RawClient client(path);
    client.send_later(get_text("/api/health") + get_text("/nowhere"));
    ASSERT_TRUE(until([&] { return client.turn(); }));
    EXPECT_EQ(client.take().status, 200);
    expect_alive();
}

} // namespace
