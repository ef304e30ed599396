#include "supervisor/api/access.h"
#include "supervisor/api/rate_limit.h"
#include "supervisor/api/sessions.h"
#include "supervisor/api/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sys/stat.h>

using namespace keepwell;
using namespace keepwell::api;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

struct SetClock final : Clock {
    Instant now() const noexcept override { return at; }
    WallTime wall() const noexcept override { return {}; }
    Instant at = Instant() + 1h;
};

class TokensTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "kwt-XXXXXX").string();
        folder = mkdtemp(pattern.data());
        path = folder + "/tokens";
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
    std::string add(const std::string& name, Scopes scopes) {
        const std::string secret = random_secret();
        const Status done = change_tokens(path, [&](std::vector<Token>& tokens) -> Status {
            tokens.push_back({name, sha256(secret), scopes, "2026-01-01T00:00:00.000Z"});
            return Done{};
        });
        EXPECT_TRUE(done);
        return secret;
    }
    void revoke(const std::string& name) {
        const Status done = change_tokens(path, [&](std::vector<Token>& tokens) -> Status {
            std::erase_if(tokens, [&](const Token& t) { return t.name == name; });
            return Done{};
        });
        EXPECT_TRUE(done);
    }
    std::string text() {
        std::ifstream in(path);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::string folder, path;
    std::vector<std::string> said;
    SetClock clock;
};

TEST_F(TokensTest, TheHashIsTheRealOne) {
    EXPECT_EQ(hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(TokensTest, SecretsHave256BitsAndDiffer) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const std::string secret = random_secret();
        EXPECT_EQ(secret.size(), 43U);
        EXPECT_EQ(secret.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "0123456789-_"),
                  std::string::npos);
        EXPECT_TRUE(seen.insert(secret).second);
    }
}

TEST_F(TokensTest, TheFileHasTheHashAloneAndIsTheOwners) {
    const std::string secret = add("deploy", {Scope::Read, Scope::Control});
    EXPECT_THAT(text(), HasSubstr("deploy sha256:" + hex(sha256(secret)) + " read,control,"));
    EXPECT_EQ(text().find(secret), std::string::npos);
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0600U);
}

TEST_F(TokensTest, WhatOthersMayReadIsRefusedWhole) {
    add("deploy", {Scope::Read});
    std::vector<std::string> problems;
    ASSERT_EQ(chmod(path.c_str(), 0640), 0);
    const auto tokens = read_tokens(path, problems);
    ASSERT_FALSE(tokens);
    EXPECT_THAT(tokens.error().message, HasSubstr("chmod 600"));
    EXPECT_TRUE(read_tokens(path, problems, true)); // systemd looks after its own
}

TEST_F(TokensTest, LinesThatAreNoTokenAreLeftOutAndNamed) {
    std::vector<std::string> problems;
    const std::string good = "a sha256:" + std::string(64, '0') + " read 2026";
    const auto tokens = parse_tokens("# comment\n\n" + good + "\nb sha256:12 read\nc md5:1 read\n" +
                                         good + " more\n../x sha256:" + std::string(64, '0') +
                                         " read\nd sha256:" + std::string(64, '0') + " root\n",
                                     problems);
    ASSERT_EQ(tokens.size(), 1U);
    EXPECT_EQ(print_token(tokens[0]), good);
    EXPECT_THAT(problems,
                ElementsAre("line 4 is no token", "line 5 is no token", "line 6 is no token",
                            "line 7 is no token", "line 8 is no token"));
}

TEST_F(TokensTest, AChangeNeverLosesWhatItCannotRead) {
    add("a", {Scope::Read});
    std::ofstream(path, std::ios::app) << "something else\n";
    const std::string before = text();
    EXPECT_FALSE(change_tokens(path, [](std::vector<Token>&) -> Status { return Done{}; }));
    EXPECT_EQ(text(), before);
}

TEST_F(TokensTest, TheStoreNoticesChangesWithinASecond) {
    TokenStore store(path, [this](const std::string& line) { said.push_back(line); });
    EXPECT_EQ(store.count(clock.at), 0U);
    const std::string secret = add("deploy", {Scope::Read}); // counts at once
    const Token* found = store.find(secret, clock.at);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->name, "deploy");
    EXPECT_EQ(store.find(secret + "x", clock.at), nullptr);
    EXPECT_EQ(store.find("", clock.at), nullptr);
    revoke("deploy");
    clock.at += 1s;
    EXPECT_EQ(store.find(secret, clock.at), nullptr);
    EXPECT_THAT(said, IsEmpty());
    add("open", {Scope::Read});
    ASSERT_EQ(chmod(path.c_str(), 0644), 0);
    clock.at += 1s;
    EXPECT_EQ(store.count(clock.at), 0U);
    EXPECT_THAT(said, ElementsAre(HasSubstr("chmod 600")));
}

TEST_F(TokensTest, TheServiceManagersCredentialCountsToo) {
    add("fleet", {Scope::Metrics});
    std::filesystem::rename(path, folder + "/keepwell.tokens");
    ASSERT_EQ(setenv("CREDENTIALS_DIRECTORY", folder.c_str(), 1), 0);
    TokenStore store(path, [](const std::string&) {});
    EXPECT_EQ(store.count(clock.at), 1U);
    unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_F(TokensTest, ScopesAreWordsAndControlTakesHeartbeats) {
    EXPECT_EQ(parse_scopes("read,logs"), (Scopes{Scope::Read, Scope::Logs}));
    for (const char* bad : {"", "read,", "root", "open", "Read", "read logs"})
        EXPECT_FALSE(parse_scopes(bad)) << bad;
    EXPECT_TRUE(Scopes{Scope::Control}.has(Scope::Heartbeat));
    EXPECT_FALSE(Scopes{Scope::Control}.has(Scope::Read));
    EXPECT_FALSE(Scopes{Scope::Heartbeat}.has(Scope::Control));
    EXPECT_TRUE(Scopes{}.has(Scope::Open));
}

TEST(RateLimitTest, FiveFailuresAMinuteThenAWait) {
    RateLimit limit;
    const Instant start = Instant() + 1h;
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(limit.wait_s("192.0.2.1", start + i * 1s), 0);
        limit.failed("192.0.2.1", start + i * 1s);
    }
    EXPECT_EQ(limit.wait_s("192.0.2.1", start + 10s), 50);
    EXPECT_EQ(limit.wait_s("192.0.2.2", start + 10s), 0);
    EXPECT_EQ(limit.wait_s("192.0.2.1", start + 60s), 0);
    limit.failed("192.0.2.1", start + 60s);
    EXPECT_EQ(limit.wait_s("192.0.2.1", start + 60s), 1);
}

TEST(RateLimitTest, OneNetworkIsOneAddressAndMemoryIsBounded) {
    RateLimit limit;
    const Instant start = Instant() + 1h;
    for (int i = 0; i < 5; ++i) limit.failed("2001:db8::" + std::to_string(i), start);
    EXPECT_GT(limit.wait_s("2001:db8::77", start), 0);
    EXPECT_EQ(limit.wait_s("2001:db8:1::77", start), 0);
    for (int i = 0; i < 6000; ++i) limit.failed("10.0." + std::to_string(i), start + i * 1ms);
    EXPECT_LE(limit.size(), 4096U);
}

TEST(SessionsTest, TheyEndAndAreBounded) {
    Sessions sessions;
    const Instant start = Instant() + 1h;
    const Digest token = sha256("t");
    const std::string id = sessions.begin(token, start);
    EXPECT_EQ(sessions.find(id, start + 11h), token);
    EXPECT_FALSE(sessions.find(id, start + 12h));
    EXPECT_FALSE(sessions.find(id + "x", start));
    sessions.end(id);
    EXPECT_FALSE(sessions.find(id, start));
    const std::string first = sessions.begin(token, start);
    for (std::size_t i = 0; i < Sessions::kMost; ++i) sessions.begin(token, start);
    EXPECT_EQ(sessions.size(), Sessions::kMost);
    EXPECT_FALSE(sessions.find(first, start));
}

TEST(SessionsTest, CookiesAreFoundByTheirWholeName) {
    EXPECT_EQ(cookie_value("a=1; keepwell_session=xyz; b=2", "keepwell_session"), "xyz");
    EXPECT_EQ(cookie_value("my_keepwell_session=1", "keepwell_session"), "");
    EXPECT_EQ(cookie_value("", "keepwell_session"), "");
}

class AccessTest : public TokensTest {
  protected:
    Caller ask(const std::string& authorization, const std::string& cookie = "") {
        Request r;
        r.authorization = authorization;
        r.cookie = cookie;
        r.peer.address = "192.0.2.1";
        access.identify(r, {Scope::Read});
        who = r.peer.token;
        return r.caller;
    }
    Access access{clock, "", [](const std::string&) {}};
    std::string who;
};

TEST_F(AccessTest, ATokenAddsToWhatEverybodyHas) {
    access.set_tokens_file(path);
    const std::string secret = add("deploy", {Scope::Control});
    EXPECT_FALSE(ask("").known);
    EXPECT_TRUE(ask("").scopes.has(Scope::Read));
    const Caller caller = ask("bearer " + secret);
    EXPECT_TRUE(caller.known);
    EXPECT_TRUE(caller.scopes.has(Scope::Read));
    EXPECT_TRUE(caller.scopes.has(Scope::Control));
    EXPECT_FALSE(caller.scopes.has(Scope::Logs));
    EXPECT_EQ(who, "deploy");
    EXPECT_FALSE(ask("Basic " + secret).known);
}

TEST_F(AccessTest, TheSixthWrongTokenIsNotEvenLookedAt) {
    access.set_tokens_file(path);
    const std::string secret = add("deploy", {Scope::Control});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("Bearer wrong").retry_after, 0);
    EXPECT_GT(ask("Bearer " + secret).retry_after, 0);
    EXPECT_FALSE(ask("Bearer " + secret).known);
    EXPECT_EQ(ask("").retry_after, 0); // who presents nothing goes on
    clock.at += 60s;
    EXPECT_TRUE(ask("Bearer " + secret).known);
}

TEST_F(AccessTest, ALoginLastsUntilItsTokenIsRevoked) {
    access.set_tokens_file(path);
    const std::string secret = add("me", {Scope::Control});
    const Access::Login login = access.login(Request{}, secret);
    ASSERT_FALSE(login.session.empty());
    const std::string cookie = "keepwell_session=" + login.session;
    EXPECT_TRUE(ask("", cookie).known);
    EXPECT_EQ(who, "me");
    revoke("me");
    clock.at += 1s;
    EXPECT_FALSE(ask("", cookie).known);
    for (int i = 0; i < 9; ++i) EXPECT_EQ(ask("", "keepwell_session=stale").retry_after, 0);
}

} // namespace
