#include "supervisor/api/guard.h"

#include <gtest/gtest.h>

using namespace keepwell::api;

namespace {

class GuardTest : public testing::Test {
  protected:
    GuardTest() {
        rules.hosts = {"status.example.org"};
        rules.origins = {"https://other.example"};
        get.method = "GET";
        get.host = "127.0.0.1:5001";
        post = get;
        post.method = "POST";
        post.content_type = "application/json; charset=utf-8";
        post.keepwell_request = "1";
    }
    int verdict(const Request& r) {
        const auto refusal = inspect(rules, r, "192.0.2.7");
        return refusal ? refusal->status : 200;
    }
    int with_host(const std::string& host) {
        Request r = get;
        r.host = host;
        return verdict(r);
    }
    int with_origin(const std::string& origin) {
        Request r = post;
        r.origin = origin;
        return verdict(r);
    }
    int with_site(const std::string& site) {
        Request r = post;
        r.fetch_site = site;
        return verdict(r);
    }
    GuardRules rules;
    Request get, post;
};

TEST_F(GuardTest, OnlyThreeMethodsAreKnown) {
    for (const char* method : {"PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", ""}) {
        Request r = get;
        r.method = method;
        EXPECT_EQ(verdict(r), 405) << method;
    }
    Request head = get;
    head.method = "HEAD";
    EXPECT_EQ(verdict(head), 200);
}

TEST_F(GuardTest, TheHostIsOneOfOursAlsoForReading) {
    for (const char* host :
         {"localhost", "LOCALHOST:5001", "127.0.0.1", "[::1]:5001", "192.0.2.7:5001",
          "status.example.org", "Status.Example.org:443", "status.example.org."})
        EXPECT_EQ(with_host(host), 200) << host;
    for (const char* host :
         {"", "evil.example", "evil.example:5001", "localhost.evil.example", "127.0.0.1.evil",
          "127.0.0.2", "192.0.2.8", "[::2]", "[::1", "[::1]x", "localhost:5001:1", "localhost:x",
          "user@localhost", "localhost/", " localhost", "127.0.0.1,evil.example"})
        EXPECT_EQ(with_host(host), 421) << host;
}

TEST_F(GuardTest, TheUnixSocketHasNoMeaningfulHost) {
    rules.local = true;
    EXPECT_EQ(with_host("evil.example"), 200);
    post.keepwell_request.clear();
    EXPECT_EQ(verdict(post), 400);
}

TEST_F(GuardTest, AChangeIsWhatNoFormCanSend) {
    EXPECT_EQ(verdict(post), 200);
    for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded",
                             "multipart/form-data", "application/jsonx", "text/json"}) {
        Request r = post;
        r.content_type = type;
        EXPECT_EQ(verdict(r), 400) << type;
    }
    for (const char* value : {"", "0", "true"}) {
        Request r = post;
        r.keepwell_request = value;
        EXPECT_EQ(verdict(r), 400) << value;
    }
}

TEST_F(GuardTest, AnOriginIsOwnOrListed) {
    EXPECT_EQ(with_origin("http://127.0.0.1:5001"), 200);
    EXPECT_EQ(with_origin("https://other.example"), 200);
    for (const char* origin :
         {"null", "https://127.0.0.1:5001", "http://127.0.0.1", "http://127.0.0.1:5002",
          "https://evil.example", "https://other.example.evil", "http://other.example"})
        EXPECT_EQ(with_origin(origin), 403) << origin;
    rules.tls = true;
    EXPECT_EQ(with_origin("https://127.0.0.1:5001"), 200);
    EXPECT_EQ(with_origin("http://127.0.0.1:5001"), 403);
    rules.tls = false;
    rules.behind_proxy = true;
    EXPECT_EQ(with_origin("https://127.0.0.1:5001"), 200);
}

TEST_F(GuardTest, TheBrowserSaysWhoseThePageIs) {
    for (const char* site : {"same-origin", "none", ""}) EXPECT_EQ(with_site(site), 200) << site;
    for (const char* site : {"cross-site", "same-site", "?"}) EXPECT_EQ(with_site(site), 403);
}

TEST_F(GuardTest, ReadingNeedsNoOrigin) {
    get.origin = "https://evil.example";
    get.fetch_site = "cross-site";
    EXPECT_EQ(verdict(get), 200);
    EXPECT_FALSE(is_listed(rules, get.origin)); // so the browser does not show the answer
    EXPECT_TRUE(is_listed(rules, "https://other.example"));
    EXPECT_FALSE(is_listed(rules, ""));
}

} // namespace
