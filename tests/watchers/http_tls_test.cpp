// TLS of the HTTP client against openssl's own test server with certificates made here.
#include "supervisor/net/curl_client.h"
#include "supervisor/net/uv_tcp_probe.h"

#include "tests/support/byte_server.h"
#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

std::uint16_t free_port() {
    const ByteServer probe([](int, const auto&) {});
    return probe.port();
}

struct TlsExchange : testing::Test {
    std::string folder = make_folder();
    std::uint16_t port = free_port();
    pid_t server = -1;
    uv::Loop loop;
    CurlHttpClient client{loop};

    static std::string make_folder() {
        std::string name = testing::TempDir() + "kw-tls-XXXXXX";
        return mkdtemp(name.data());
    }
    void SetUp() override {
        const std::string make =
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
            " -addext subjectAltName=DNS:localhost -keyout " +
            folder + "/key.pem -out " + folder + "/cert.pem 2>/dev/null";
        ASSERT_EQ(std::system(make.c_str()), 0);
        serve();
    }
    void serve() {
        const std::string at = "127.0.0.1:" + std::to_string(port);
        const std::string key = folder + "/key.pem", cert = folder + "/cert.pem";
        server = fork();
        ASSERT_GE(server, 0);
        if (server == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); // also when the test is killed
            const int null = open("/dev/null", O_RDWR);
            for (const int fd : {0, 1, 2}) dup2(null, fd);
            execlp("openssl", "openssl", "s_server", "-accept", at.c_str(), "-key", key.c_str(),
                   "-cert", cert.c_str(), "-www", "-quiet", nullptr);
            _exit(127);
        }
    }
    ~TlsExchange() override {
        if (server > 0) {
            kill(server, SIGKILL);
            waitpid(server, nullptr, 0);
        }
        std::filesystem::remove_all(folder);
    }

    HttpResult get(bool verify, const std::string& ca, const std::string& host = "localhost") {
        HttpRequest r;
        r.url = "https://" + host + ":" + std::to_string(port) + "/";
        r.verify_tls = verify;
        r.ca_file = ca;
        r.timeout = 5s;
        HttpResult last;
        const auto end = std::chrono::steady_clock::now() + 15s;
        do { // until the server listens
            std::optional<HttpResult> got;
            client.start(r, [&](HttpResult result) { got = std::move(result); });
            EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
            last = got.value_or(HttpResult{});
        } while (last.failure == HttpFailure::Refused && std::chrono::steady_clock::now() < end);
        return last;
    }
};

} // namespace

TEST_F(TlsExchange, SelfSignedIsRefusedAndAcceptedWithItsCa) {
    const auto refused = get(true, "");
    EXPECT_EQ(refused.failure, HttpFailure::Tls);
    EXPECT_NE(refused.error.find("self-signed"), std::string::npos) << refused.error;
    const auto trusted = get(true, folder + "/cert.pem");
    EXPECT_EQ(trusted.status, 200) << trusted.error;
    const auto again = get(true, "");
    EXPECT_EQ(again.failure, HttpFailure::Tls) << "the trusted connection is not reused for it";
}

TEST_F(TlsExchange, WrongNameIsRefusedAndUnverifiedIsNot) {
    const auto wrong = get(true, folder + "/cert.pem", "127.0.0.1");
    EXPECT_EQ(wrong.failure, HttpFailure::Tls) << wrong.error;
    EXPECT_EQ(get(false, "", "127.0.0.1").status, 200);
}

TEST_F(TlsExchange, MissingCaFileIsATlsError) {
    EXPECT_EQ(get(true, folder + "/none.pem").failure, HttpFailure::Tls);
}

TEST_F(TlsExchange, TheEndOfTheCertificateIsToldOverNewConnectionsOnly) {
    const std::string ca = folder + "/cert.pem";
    const auto in_two_days = [] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   (std::chrono::system_clock::now() + 48h).time_since_epoch())
            .count();
    }();
    const auto first = get(true, ca);
    ASSERT_TRUE(first.cert_expires_at) << first.error;
    EXPECT_NEAR(static_cast<double>(first.cert_expires_at->ms), static_cast<double>(in_two_days),
                120'000.0);
    HttpRequest again;
    again.url = "https://localhost:" + std::to_string(port) + "/";
    again.ca_file = ca;
    again.timeout = 5s;
    again.fresh_connection = true;
    std::optional<HttpResult> got;
    client.start(again, [&](HttpResult result) { got = std::move(result); });
    ASSERT_TRUE(run_until(loop, [&] { return got.has_value(); }));
    EXPECT_EQ(got->cert_expires_at, first.cert_expires_at);
}

namespace {

struct TcpTls : TlsExchange {
    UvTcpProbe probe{loop};
    TcpResult run(bool verify, const std::string& ca, const std::string& host = "localhost") {
        TcpRequest r;
        r.host = host;
        r.port = port;
        r.tls = true;
        r.verify_tls = verify;
        r.ca_file = ca;
        r.send = "GET / HTTP/1.0\r\n\r\n";
        r.expect = "HTTP/1.0 200";
        r.timeout = 5s;
        TcpResult last;
        const auto end = std::chrono::steady_clock::now() + 15s;
        do { // until the server listens
            std::optional<TcpResult> got;
            probe.start(r, [&](TcpResult result) { got = std::move(result); });
            EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
            last = got.value_or(TcpResult{});
        } while (last.error == "connection refused" && std::chrono::steady_clock::now() < end);
        return last;
    }
};

} // namespace

TEST_F(TcpTls, ChecksSpeakThroughAVerifiedSession) {
    const auto good = run(true, folder + "/cert.pem");
    EXPECT_TRUE(good.ok) << good.error;
    EXPECT_TRUE(good.cert_expires_at);
    EXPECT_EQ(run(true, "").error, "TLS: self-signed certificate");
    EXPECT_EQ(run(true, folder + "/cert.pem", "127.0.0.1").error, "TLS: IP address mismatch");
    EXPECT_TRUE(run(false, "", "127.0.0.1").ok);
    EXPECT_TRUE(run(true, folder + "/none.pem").error.starts_with("TLS: cannot use the CA file"));
}

TEST(TlsHandshake, ThatHangsEndsAtTheDeadline) {
    ByteServer silent([](int fd, const auto& stopping) {
        char c = 0;
        while (!stopping && recv(fd, &c, 1, 0) == 1) {
        }
    });
    uv::Loop loop;
    CurlHttpClient client(loop);
    UvTcpProbe probe(loop);
    HttpRequest http;
    http.url = "https://127.0.0.1:" + std::to_string(silent.port()) + "/";
    http.timeout = 300ms;
    TcpRequest tcp;
    tcp.host = "127.0.0.1";
    tcp.port = silent.port();
    tcp.tls = true;
    tcp.timeout = 300ms;
    std::optional<HttpResult> h;
    std::optional<TcpResult> t;
    client.start(http, [&](HttpResult r) { h = std::move(r); });
    probe.start(tcp, [&](TcpResult r) { t = std::move(r); });
    ASSERT_TRUE(run_until(loop, [&] { return h && t; }));
    EXPECT_EQ(h->failure, HttpFailure::Timeout);
    EXPECT_EQ(t->error, "timed out");
    EXPECT_LT(t->took, 3s);
}
