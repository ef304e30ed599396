#include "api_support.h"
#include "supervisor/api/listener.h"
#include "supervisor/api/tcp_socket.h"
#include "supervisor/api/tokens.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>

using namespace keepwell;
using namespace std::chrono_literals;
using namespace keepwell::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

class TcpTest : public ApiTest {
  protected:
    void SetUp() override {
        options.listen = {"127.0.0.1:0"};
        options.audit = [this](const std::string& line) { audit.push_back(line); };
        options.review_ms = 20;
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

TEST_F(TcpTest, TheAuditKnowsAHeartbeatByItsRoute) {
    const std::string sent = bearer(token("deploy", {api::Scope::Control}));
    EXPECT_EQ(tcp_post("/api/services/web/beat", "{}", sent).status, 200);
    EXPECT_EQ(tcp_post("/api/services/web/%62eat?x=1", "{}", sent).status, 200);
    EXPECT_EQ(tcp_post("/api/heartbeat/web", "{}", sent).status, 200);
    EXPECT_THAT(audit, ElementsAre());
    EXPECT_EQ(tcp_post("/api/services/web/stop?x=/beat", "{}", sent).status, 202);
    EXPECT_EQ(tcp_post("/api/heartbeat/bare", "{}", sent).status, 400);
    EXPECT_THAT(audit, ElementsAre(HasSubstr(": /api/services/web/stop?x=/beat {}: 202"),
                                   HasSubstr(": /api/heartbeat/bare {}: 400")));
}

TEST_F(TcpTest, ATokenIsInNoLogWhereverItIsSent) {
    const std::string secret = token("me", {api::Scope::Control});
    const std::string body = "{\"token\":\"" + secret + "\"}";
    const std::vector<std::string> targets = {"/api/login",   "/api/log%69n",
                                              "/%61pi/login", "/login",
                                              "/api/login/",  "/api/logins",
                                              "/api/logout",  "http://" + host + "/api/login",
                                              "/api/%zz",     "/api/login?token=" + secret};
    for (const std::string& target : targets) tcp_post(target, body);
    tcp_post("/api/login", body, "Origin: http://evil.example\r\n");
    EXPECT_EQ(audit.size(), targets.size() + 1);
    for (const auto& lines : {audit, log})
        for (const auto& line : lines) EXPECT_EQ(line.find(secret), std::string::npos) << line;
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

class FollowedStream final : public feeds::Stream {
  public:
    std::optional<std::size_t> read(char* to, std::size_t size) override {
        const std::size_t n = std::min(size, text.size());
        text.copy(to, n);
        text.erase(0, n);
        return n;
    }
    void on_wake(std::function<void()> w) override { wake = std::move(w); }
    std::string text = "retry: 3000\n\n";
    std::function<void()> wake;
};

class FollowTest : public TcpTest {
  protected:
    std::unique_ptr<RawClient> follow(const std::string& headers) {
        control.stream = std::shared_ptr<feeds::Stream>(std::make_shared<FollowedStream>());
        auto client = RawClient::to_port(port);
        client->send_later("GET /api/logs/stream HTTP/1.1\r\nHost: " + host + "\r\n" + headers +
                           "\r\n");
        EXPECT_TRUE(until([&] {
            client->turn();
            return client->seen().find("retry: 3000") != std::string::npos;
        }));
        return client;
    }
    static bool is_over(RawClient& client) {
        client.turn();
        return client.seen().ends_with("0\r\n\r\n");
    }
    bool ends(RawClient& client) {
        return until([&] { return is_over(client); });
    }
};

TEST_F(FollowTest, EndsWithItsToken) {
    const auto stays = follow(bearer(token("other", {api::Scope::Logs})));
    const auto client = follow(bearer(token("brief", {api::Scope::Logs})));
    ASSERT_TRUE(api::change_tokens(options.api.tokens_file, [](auto& tokens) -> Status {
        std::erase_if(tokens, [](const api::Token& t) { return t.name == "brief"; });
        return Done{};
    }));
    EXPECT_TRUE(ends(*client));
    EXPECT_FALSE(is_over(*stays));
}

TEST_F(FollowTest, EndsWithItsLogin) {
    const std::string secret = token("me", {api::Scope::Logs});
    const auto log_in = [&] {
        const Answer in = tcp_post("/api/login", "{\"token\":\"" + secret + "\"}");
        const std::string cookie = in.header("Set-Cookie");
        return "Cookie: " + cookie.substr(0, cookie.find(';')) + "\r\n";
    };
    const std::string first = log_in(), second = log_in();
    const auto client = follow(first);
    const auto stays = follow(second);
    EXPECT_EQ(tcp_post("/api/logout", "{}", first).status, 204);
    EXPECT_TRUE(ends(*client));
    EXPECT_FALSE(is_over(*stays));
}

TEST_F(FollowTest, EndsWhenAReloadAllowsLess) {
    options.api.anonymous = std::vector<std::string>{"logs"};
    server->set(options.api);
    const auto client = follow("");
    const auto stays = follow(bearer(token("me", {api::Scope::Logs})));
    options.api.anonymous = std::vector<std::string>{};
    server->set(options.api);
    EXPECT_TRUE(ends(*client));
    EXPECT_FALSE(is_over(*stays));
}

class TlsTest : public ApiTest {
  protected:
    void SetUp() override {
        ApiTest::SetUp();
        server.reset();
        options.listen = {"127.0.0.1:0"};
        options.api.tls = ApiTlsSpec{folder + "/cert.pem", folder + "/key.pem"};
        renew();
        open();
    }
    void renew() const {
        const std::string make = "openssl req -x509 -newkey ec -pkeyopt "
                                 "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
                                 " -keyout " +
                                 folder + "/key.pem -out " + folder + "/cert.pem 2>/dev/null";
        ASSERT_EQ(std::system(make.c_str()), 0);
    }
    std::string certificate() const { return text_of(folder + "/cert.pem"); }
    static std::string text_of(const std::string& file) {
        std::ifstream in(file);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::string served() { // what a client gets
        const std::string address = server->addresses().at(0).substr(sizeof "https://" - 1);
        const std::string ask = "openssl s_client -connect " + address +
                                " </dev/null 2>/dev/null | openssl x509 > " + folder + "/served";
        auto asked = std::async(std::launch::async, [&] { return std::system(ask.c_str()); });
        EXPECT_TRUE(until([&] { return asked.wait_for(0s) == std::future_status::ready; }));
        return text_of(folder + "/served");
    }
};

TEST_F(TlsTest, ADamagedChainLeavesTheCertificateOfBefore) {
    const std::string before = certificate();
    EXPECT_EQ(served(), before);
    renew();
    const std::string good = certificate();
    // The first of the file is right, and the key is its own.
    std::ofstream(folder + "/cert.pem", std::ios::app)
        << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (std::size_t times = 1; times <= 2; ++times) { // it is not taken for the one in use
        server->set(options.api);
        ASSERT_TRUE(until([&] { return log.size() == times; }));
        EXPECT_THAT(log.back(), AllOf(HasSubstr("of its chain is damaged"),
                                      HasSubstr("going on with the one of before")));
        ASSERT_EQ(server->addresses().size(), 1U);
        EXPECT_EQ(served(), before);
    }
    std::ofstream(folder + "/cert.pem") << good;
    server->set(options.api);
    EXPECT_TRUE(until([&] { return served() == good; }));
    EXPECT_EQ(log.size(), 2U);
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
