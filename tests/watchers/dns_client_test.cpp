// The DNS client against real and hostile name servers.
#include "supervisor/net/cares_client.h"
#include "supervisor/net/dns_answer.h"

#include "supervisor/uv/pool_offload.h"
#include "tests/support/byte_server.h"
#include "tests/support/fake_ports.h"
#include "tests/support/loop_runner.h"
#include "tests/watchers/dns_server.h"
#include "watchers/check_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <optional>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

namespace {

struct DnsExchange : testing::Test {
    uv::Loop loop;
    CaresClient client{loop};

    DnsResult ask(const std::string& server, const std::string& name,
                  DnsRecord record = DnsRecord::A, Duration timeout = 5s) {
        std::optional<DnsResult> got;
        client.start({name, server, record, timeout},
                     [&](DnsResult result) { got = std::move(result); });
        EXPECT_FALSE(got) << "called from inside start()";
        EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
        return got.value_or(DnsResult{});
    }
    // dnsmasq needs a moment to listen.
    void wait_for(const Dnsmasq& server) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (ask(server.address(), "a.test", DnsRecord::A, 300ms).answers.empty())
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "dnsmasq does not answer";
    }
};

std::string long_text(char c) { return std::string(250, c); }

} // namespace

TEST_F(DnsExchange, EveryRecordTypeOfARealServer) {
    const Dnsmasq server(
        {"--host-record=a.test,192.0.2.1,2001:db8::1", "--host-record=a.test,192.0.2.2",
         "--cname=www.test,a.test", "--mx-host=a.test,mx.test,10",
         "--txt-record=a.test,v=spf1 -all", "--srv-host=_sip._tcp.test,sip.test,5060,1,7",
         "--ptr-record=9.2.0.192.in-addr.arpa,nine.test",
         "--txt-record=long.test," + long_text('a') + "," + long_text('b') + "," + long_text('c')});
    wait_for(server);
    const std::string at = server.address();
    EXPECT_THAT(ask(at, "a.test").answers, UnorderedElementsAre("192.0.2.1", "192.0.2.2"));
    EXPECT_THAT(ask(at, "a.test", DnsRecord::Aaaa).answers, ElementsAre("2001:db8::1"));
    EXPECT_THAT(ask(at, "www.test").answers, UnorderedElementsAre("192.0.2.1", "192.0.2.2"))
        << "the alias is no answer of its own";
    EXPECT_THAT(ask(at, "www.test", DnsRecord::Cname).answers, ElementsAre("a.test"));
    EXPECT_THAT(ask(at, "a.test", DnsRecord::Mx).answers, ElementsAre("10 mx.test"));
    EXPECT_THAT(ask(at, "a.test", DnsRecord::Txt).answers, ElementsAre("v=spf1 -all"));
    EXPECT_THAT(ask(at, "_sip._tcp.test", DnsRecord::Srv).answers,
                ElementsAre("1 7 5060 sip.test"));
    EXPECT_THAT(ask(at, "192.0.2.9", DnsRecord::Ptr).answers, ElementsAre("nine.test"));
    EXPECT_THAT(ask(at, "long.test", DnsRecord::Txt).answers,
                ElementsAre(long_text('a') + long_text('b') + long_text('c')))
        << "too long for a datagram: asked again over TCP";
    EXPECT_EQ(ask(at, "b.test").error, "no such name (NXDOMAIN)");
    EXPECT_EQ(ask(at, "a.test", DnsRecord::Ns).error, "the name has no such record");
}

TEST_F(DnsExchange, WhatServersRefuseIsSaid) {
    const UdpServer failing([](const std::string& q) { return UdpServer::refusal(q, 2); });
    const DnsResult failed = ask(failing.address(), "a.test");
    EXPECT_EQ(failed.error, "the name server failed (SERVFAIL)");
    EXPECT_FALSE(failed.timed_out);
    const UdpServer refusing([](const std::string& q) { return UdpServer::refusal(q, 5); });
    EXPECT_EQ(ask(refusing.address(), "a.test").error, "the name server refused to answer");
    const std::string nobody = "127.0.0.1:" + std::to_string(UdpSocket().port());
    EXPECT_EQ(ask(nobody, "a.test").error, "no name server is there (connection refused)");
    EXPECT_EQ(ask(failing.address(), std::string(300, 'x')).error,
              "this is not a name that can be asked for");
}

TEST_F(DnsExchange, RubbishIsNoAnswerAndTheDeadlineHolds) {
    const UdpServer rubbish([](const std::string& q) { return std::string(q.size(), '\xff'); });
    const auto begin = std::chrono::steady_clock::now();
    const DnsResult got = ask(rubbish.address(), "a.test", DnsRecord::A, 400ms);
    EXPECT_TRUE(got.timed_out) << got.error;
    EXPECT_GE(got.took, 300ms);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(DnsExchange, AQuestionThatGotLostIsAskedAgain) {
    std::atomic<int> asked{0};
    const UdpServer forgetful([&](const std::string& q) {
        return ++asked < 2 ? std::string() : UdpServer::refusal(q, 3);
    });
    EXPECT_EQ(ask(forgetful.address(), "a.test", DnsRecord::A, 4s).error,
              "no such name (NXDOMAIN)");
    EXPECT_GE(asked, 2);
}

TEST_F(DnsExchange, AfterCancelAndAfterTheClientNobodyIsCalled) {
    const UdpSocket silent;
    auto mine = std::make_unique<CaresClient>(loop);
    const auto never = [](const DnsResult&) { FAIL() << "called"; };
    const auto id = mine->start({"a.test", silent.address(), DnsRecord::A, 50ms}, never);
    mine->start({"b.test", silent.address(), DnsRecord::A, 50ms}, never);
    mine->cancel(id);
    mine->cancel(id);
    mine->cancel(4711);
    mine.reset();
    EXPECT_EQ(ask(silent.address(), "c.test", DnsRecord::A, 300ms).error, "timed out");
}

TEST_F(DnsExchange, TheClientMayEndInsideACallback) {
    const UdpServer failing([](const std::string& q) { return UdpServer::refusal(q, 2); });
    auto mine = std::make_unique<CaresClient>(loop);
    bool called = false;
    mine->start({"a.test", failing.address(), DnsRecord::A, 5s}, [&](const DnsResult&) {
        called = true;
        mine.reset();
    });
    mine->start({"b.test", UdpSocket().address(), DnsRecord::A, 60s},
                [](const DnsResult&) { FAIL() << "called"; });
    EXPECT_TRUE(run_until(loop, [&] { return called; }));
}

TEST_F(DnsExchange, TenChecksOfASilentServerHoldUpNeitherFilesNorTheLoop) {
    const UdpSocket silent;
    uv::MonotonicClock clock;
    uv::LoopTimers timers(loop, clock);
    PoolOffload offload(loop);
    FakeHttp http;
    FakeTcp tcp;
    FakeTasks tasks;
    FakeLogs logs;
    std::size_t timeouts = 0;
    CheckScheduler scheduler(
        {clock, timers, http, tcp, tasks, offload, [](UnitIndex) { return TreeRef{}; }, client,
         logs},
        [&](const Observation& o) { timeouts += o.soft && o.output == "timed out after 1s"; });
    UnitSpec unit;
    unit.key = "names";
    for (int i = 0; i < 10; ++i) {
        CheckSpec check;
        check.id = "dns" + std::to_string(i);
        check.timeout = 1s;
        DnsCheckSpec dns;
        dns.name = "host" + std::to_string(i) + ".test";
        dns.server = silent.address();
        check.probe = dns;
        unit.checks.push_back(check);
    }
    scheduler.start(0, unit, 1);
    scheduler.run_now(0, std::nullopt);

    std::string folder = testing::TempDir() + "kw-dns-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/state";
    std::vector<Duration> took;
    while (timeouts < 10 && took.size() < 10'000) {
        bool written = false;
        const Instant begin = clock.now();
        const auto token = uv::run_in_pool(
            loop,
            [&] {
                const int fd = open((path + ".new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
                EXPECT_EQ(write(fd, "state", 5), 5);
                close(fd);
                std::filesystem::rename(path + ".new", path);
            },
            [&] { written = true; });
        ASSERT_TRUE(run_until(loop, [&] { return written; }));
        took.push_back(clock.now() - begin);
    }
    std::filesystem::remove_all(folder);
    EXPECT_EQ(timeouts, 10U);
    ASSERT_GE(took.size(), 10U) << "files waited for the name server";
    // All but what this host itself may stall.
    std::ranges::sort(took);
    EXPECT_LT(took[took.size() * 9 / 10], 50ms);
}

// ---- answers as bytes

namespace {

std::string answer_bytes() { // one A, one MX and one TXT record for "a.test"
    const std::string name("\1a\4test\0", 8);
    std::string m("\x12\x34\x81\x80\0\1\0\3\0\0\0\0", 12);
    m += name + std::string("\0\1\0\1", 4);
    const std::string back("\xc0\x0c", 2);
    const auto record = [&](char type, const std::string& data) {
        return back +
               std::string({'\0', type, '\0', '\1', '\0', '\0', '\0', '\5', '\0',
                            static_cast<char>(data.size())}) +
               data;
    };
    m += record(1, std::string("\xc0\0\2\1", 4));
    m += record(15, std::string("\0\12", 2) + "\2mx" + back);
    m += record(16, "\3one\3two");
    return m;
}

std::vector<std::string> read(const std::string& bytes, DnsRecord record) {
    return dns_answers(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), record);
}

} // namespace

TEST(DnsAnswer, TakesTheRecordsOfOneType) {
    EXPECT_THAT(read(answer_bytes(), DnsRecord::A), ElementsAre("192.0.2.1"));
    EXPECT_THAT(read(answer_bytes(), DnsRecord::Mx), ElementsAre("10 mx.a.test"));
    EXPECT_THAT(read(answer_bytes(), DnsRecord::Txt), ElementsAre("onetwo"));
    EXPECT_THAT(read(answer_bytes(), DnsRecord::Aaaa), ElementsAre());
}

TEST(DnsAnswer, EveryCutAndEveryFlippedByteIsHarmless) {
    const std::string whole = answer_bytes();
    for (std::size_t n = 0; n <= whole.size(); ++n) {
        const std::string cut = whole.substr(0, n); // of its own, so that a sanitizer sees the end
        for (const DnsRecord r : {DnsRecord::A, DnsRecord::Mx, DnsRecord::Txt, DnsRecord::Ns})
            EXPECT_LE(read(cut, r).size(), 3U);
    }
    for (std::size_t at = 0; at < whole.size(); ++at)
        for (int value = 0; value < 256; ++value) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(value);
            for (const DnsRecord r : {DnsRecord::A, DnsRecord::Mx, DnsRecord::Txt})
                EXPECT_LE(read(bytes, r).size(), 64U);
        }
}

TEST(DnsAnswer, AddressesAreTurnedRound) {
    EXPECT_EQ(reverse_name("192.0.2.9"), "9.2.0.192.in-addr.arpa");
    EXPECT_EQ(reverse_name("2001:db8::1"), "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d."
                                           "0.1.0.0.2.ip6.arpa");
    EXPECT_EQ(reverse_name("9.2.0.192.in-addr.arpa"), "9.2.0.192.in-addr.arpa");
}
