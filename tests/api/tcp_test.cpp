#include "api_support.h"
#include "supervisor/api/listener.h"
#include "supervisor/api/tcp_socket.h"
#include "supervisor/api/tokens.h"

#include <gmock/gmock.h>

using namespace keepwell;
using namespace keepwell::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

class TcpTest : public ApiTest {
  protected:
    void SetUp() override {
        options.listen = {"127.0.0.1:0"};
        options.audit = [this](const std::string& line) { audit.push_back(line); };
        ApiTest::SetUp();
        options.api.tokens_file = folder + "/tokens";
        server->set(options.api);
        ASSERT_EQ(server->addresses().size(), 1U);
        const std::string address = server->addresses()[0];
        EXPECT_THAT(address, StartsWith("http://127.0.0.1:"));
        port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
        host = "127.0.0.1:" + std::to_string(port);
    }
    Answer ask(const std::string& bytes) {
        const auto client = RawClient::to_port(port);
        EXPECT_TRUE(client->connected());
        client->send_later(bytes);
        EXPECT_TRUE(until([&] { return client->turn(); })) << bytes.substr(0, 200);
        return client->take();
    }
    Answer tcp_get(const std::string& target, const std::string& headers = "") {
        return ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n");
    }
    Answer tcp_post(const std::string& target, const std::string& body = "{}",
                    const std::string& headers = "") {
        return ask("POST " + target + " HTTP/1.1\r\nHost: " + host +
                   "\r\nContent-Type: application/json\r\nX-Keepwell-Request: 1\r\n"
                   "Content-Length: " +
                   std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
    }
    std::string token(const std::string& name, api::Scopes scopes) {
        const std::string secret = api::random_secret();
        const Status done = api::change_tokens(
            options.api.tokens_file, [&](std::vector<api::Token>& tokens) -> Status {
                tokens.push_back({name, api::sha256(secret), scopes, "2026"});
                return Done{};
            });
        EXPECT_TRUE(done);
        return secret;
    }
    static std::string bearer(const std::string& secret) {
        return "Authorization: Bearer " + secret + "\r\n";
    }
    std::uint16_t port = 0;
    std::string host;
    std::vector<std::string> audit;
};

TEST_F(TcpTest, ReadingIsForEverybodyHereAndChangingForNobody) {
    EXPECT_EQ(tcp_get("/api/status").body, control.document);
    EXPECT_EQ(tcp_get("/api/health").status, 200);
    const Answer refused = tcp_post("/api/services/web/stop");
    EXPECT_EQ(refused.status, 401);
    EXPECT_EQ(refused.header("WWW-Authenticate"), "Bearer realm=\"keepwell\"");
    EXPECT_EQ(tcp_get("/api/runtime").status, 401);
    EXPECT_TRUE(control.requests.empty());
    EXPECT_THAT(audit, ElementsAre("audit: somebody without token (127.0.0.1): "
                                   "/api/services/web/stop {}: 401"));
}

TEST_F(TcpTest, ATokenAllowsWhatItsScopesSay) {
    const std::string control_token = token("deploy", {api::Scope::Control});
    const std::string logs_token = token("viewer", {api::Scope::Logs});
    EXPECT_EQ(tcp_post("/api/services/web/stop", "{}", bearer(control_token)).status, 202);
    ASSERT_EQ(control.requests.size(), 1U);
    EXPECT_EQ(describe(control.requests[0].peer), "token deploy (127.0.0.1)");
    EXPECT_EQ(tcp_post("/api/services/web/stop", "{}", bearer(logs_token)).status, 403);
    EXPECT_EQ(control.requests.size(), 1U);
    EXPECT_THAT(audit,
                ElementsAre("audit: token deploy (127.0.0.1): /api/services/web/stop {}: 202",
                            "audit: token viewer (127.0.0.1): /api/services/web/stop {}: 403"));
}

TEST_F(TcpTest, SixWrongTokensAreTooMany) {
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(tcp_post("/api/shutdown", "{}", bearer("wrong")).status, 401);
    const Answer refused = tcp_post("/api/shutdown", "{}", bearer("wrong"));
    EXPECT_EQ(refused.status, 429);
    EXPECT_GT(std::stoi(refused.header("Retry-After")), 0);
    EXPECT_EQ(tcp_post("/api/login", R"({"token":"wrong"})").status, 429);
    EXPECT_EQ(tcp_get("/api/status").status, 200);
    EXPECT_EQ(get("/api/runtime").status, 200); // the unix socket
}

TEST_F(TcpTest, ALoginIsACookieThatScriptsCannotRead) {
    const std::string secret = token("me", {api::Scope::Control, api::Scope::Logs});
    EXPECT_EQ(tcp_post("/api/login", R"({"token":"wrong"})").status, 401);
    EXPECT_EQ(tcp_post("/api/login", R"({"secret":"x"})").status, 400);
    const Answer in = tcp_post("/api/login", "{\"token\":\"" + secret + "\"}");
    EXPECT_EQ(in.status, 204);
    const std::string cookie = in.header("Set-Cookie");
    EXPECT_THAT(cookie, StartsWith("keepwell_session="));
    EXPECT_THAT(cookie, HasSubstr("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"));
    EXPECT_EQ(cookie.find(secret), std::string::npos);
    const std::string sent = "Cookie: " + cookie.substr(0, cookie.find(';')) + "\r\n";
    const json session = tcp_get("/api/session", sent).document();
    EXPECT_EQ(session, json::parse(R"({"name":"me","scopes":["read","logs","metrics","control",
                                      "heartbeat"],"login":true})"));
    EXPECT_EQ(tcp_post("/api/services/web/stop", "{}", sent).status, 202);
    EXPECT_EQ(
        tcp_post("/api/services/web/stop", "{}", sent + "Origin: http://evil.example\r\n").status,
        403);
    EXPECT_EQ(tcp_post("/api/logout", "{}", sent).status, 204);
    EXPECT_EQ(tcp_post("/api/services/web/stop", "{}", sent).status, 401);
    for (const auto& line : audit) EXPECT_EQ(line.find(secret), std::string::npos);
}

TEST_F(TcpTest, WhoOneIs) {
    EXPECT_EQ(tcp_get("/api/session").document(),
              json::parse(R"({"name":null,"scopes":["read","metrics"],"login":true})"));
    const json local = get("/api/session").document();
    EXPECT_EQ(local["scopes"].size(), 5U);
    EXPECT_EQ(local["login"], false);
}

TEST_F(TcpTest, EveryAnswerHasTheHeaders) {
    for (const Answer& answer :
         {tcp_get("/api/status"), tcp_get("/nowhere"), tcp_post("/api/shutdown"),
          ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), get("/api/status")}) {
        EXPECT_THAT(answer.header("Content-Security-Policy"),
                    HasSubstr("default-src 'none'; script-src 'self'"));
        EXPECT_THAT(answer.header("Content-Security-Policy"), HasSubstr("frame-ancestors 'none'"));
        EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
        EXPECT_EQ(answer.header("Referrer-Policy"), "no-referrer");
        EXPECT_EQ(answer.header("Cross-Origin-Opener-Policy"), "same-origin");
        EXPECT_EQ(answer.header("Cross-Origin-Resource-Policy"), "same-origin");
    }
}

TEST_F(TcpTest, AForeignHostGetsNothing) {
    const Answer answer = ask("GET /api/status HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    EXPECT_EQ(answer.status, 421);
    EXPECT_EQ(answer.body.find("keepwell.status"), std::string::npos);
    EXPECT_EQ(ask("GET /api/status HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n").status, 400);
}

TEST_F(TcpTest, OnlyListedPagesMayReadAnswers) {
    options.api.origins = {"https://status.example"};
    server->set(options.api);
    const Answer listed = tcp_get("/api/status", "Origin: https://status.example\r\n");
    EXPECT_EQ(listed.header("Access-Control-Allow-Origin"), "https://status.example");
    EXPECT_EQ(listed.header("Vary"), "Origin");
    const Answer other = tcp_get("/api/status", "Origin: https://evil.example\r\n");
    EXPECT_EQ(other.header("Access-Control-Allow-Origin"), "");
    EXPECT_EQ(other.header("Vary"), "Origin");
}

TEST_F(TcpTest, WhatAnonymousMaySeeIsConfigured) {
    options.api.anonymous = std::vector<std::string>{};
    server->set(options.api);
    EXPECT_EQ(tcp_get("/api/status").status, 401);
    EXPECT_EQ(tcp_get("/api/health").status, 200);
    options.api.anonymous.reset();
    options.api.behind_proxy = true; // its clients are not on this machine
    server->set(options.api);
    EXPECT_EQ(tcp_get("/api/status").status, 401);
}

TEST_F(TcpTest, BehindAProxyTheClientIsWhomTheProxySaw) {
    options.api.behind_proxy = true;
    server->set(options.api);
    tcp_post("/api/shutdown", "{}", "X-Forwarded-For: 10.0.0.1, 198.51.100.7\r\n");
    EXPECT_THAT(audit, ElementsAre(HasSubstr("(198.51.100.7)")));
    options.api.behind_proxy = false;
    server->set(options.api);
    tcp_post("/api/shutdown", "{}", "X-Forwarded-For: 198.51.100.7\r\n");
    EXPECT_THAT(audit.back(), HasSubstr("(127.0.0.1)"));
}

TEST_F(TcpTest, ATakenPortIsReportedAndTriedAgain) {
    server.reset();
    options.listen = {host};
    {
        const auto other = api::TcpSocket::open(host);
        ASSERT_TRUE(other);
        open();
        EXPECT_TRUE(server->addresses().empty());
        ASSERT_FALSE(log.empty());
        EXPECT_THAT(log.back(), HasSubstr("cannot listen on " + host));
        EXPECT_THAT(log.back(), HasSubstr("another program has that port"));
    }
    EXPECT_EQ(get("/api/health").status, 200); // the unix socket is there at once
}

TEST_F(TcpTest, ManySilentClientsLeaveTheUnixSocketFree) {
    std::vector<std::unique_ptr<RawClient>> silent;
    for (int i = 0; i < 300; ++i) {
        silent.push_back(RawClient::to_port(port));
        silent.back()->send_later("GET /api/st");
        silent.back()->turn();
    }
    for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/api/health").status, 200);
}

TEST_F(TcpTest, AListenerThatCannotStartLeavesTheSocketToItsOwner) {
    const auto own = api::TcpSocket::open("127.0.0.1:0");
    ASSERT_TRUE(own);
    api::Listener::Setup setup;
    setup.socket = own->fd();
    setup.name = own->address();
    setup.tls = api::TlsIdentity{"no certificate", "no key"};
    ApiCounters counters;
    const auto made =
        api::Listener::open(setup, {loop, clock, {}, {}, counters, [](const std::string&) {}});
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, StartsWith("cannot start the API on " + own->address()));
    EXPECT_GE(fcntl(own->fd(), F_GETFD), 0);
}

TEST(TcpSocketTest, AddressesAreReadNotLookedUp) {
    for (const char* listen : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"})
        EXPECT_TRUE(api::is_loopback(listen)) << listen;
    for (const char* listen : {"0.0.0.0:1", "[::]:1", "192.0.2.1:1", "example.org:1", "", ":1"})
        EXPECT_FALSE(api::is_loopback(listen)) << listen;
    const auto bad = api::TcpSocket::open("example.org:80");
    ASSERT_FALSE(bad);
    EXPECT_THAT(bad.error().message, StartsWith("cannot listen on example.org:80"));
    const auto first = api::TcpSocket::open("127.0.0.1:0");
    ASSERT_TRUE(first);
    EXPECT_EQ(fcntl(first->fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    const auto second = api::TcpSocket::open(first->address());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
}

} // namespace
