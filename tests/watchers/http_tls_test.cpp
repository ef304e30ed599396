// TLS of the HTTP client against openssl's own test server with certificates made here.
#include "supervisor/net/curl_client.h"

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
