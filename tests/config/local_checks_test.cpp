// The keys of unix, process, port, file and resource checks, of TLS and of limits of a tree.
#include "tests/config/config_fixture.h"

using namespace keepwell;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

class LocalChecksConfig : public ConfigTest {
  protected:
    template <class T>
    T probe(const std::string& keys, const std::string& id) const {
        const Configuration c =
            good("[unit.web]\ncommand = [\"/bin/true\"]\ncheck." + id + " = " + keys + "\n");
        return std::get<T>(check(unit(c, "web"), id).probe);
    }
    std::vector<std::string> errors_with(const std::string& check) const {
        return errors_of("[unit.web]\ncommand = [\"/bin/true\"]\ncheck." + check + "\n");
    }
};

} // namespace

TEST_F(LocalChecksConfig, EachTypeHasItsKeys) {
    const auto unix =
        probe<UnixCheckSpec>("{ path = \"/run/a\", send = \"x\", expect = \"y\" }", "unix");
    EXPECT_EQ(unix, (UnixCheckSpec{"/run/a", "x", "y"}));
    const auto process = probe<ProcessCheckSpec>(
        "{ match = \"nginx\", exclude = [\"a\", \"b*\"], min = 2, max = 4 }", "process");
    EXPECT_EQ(process, (ProcessCheckSpec{{"nginx"}, {"a", "b*"}, 2, 4}));
    const auto port = probe<PortCheckSpec>("{ port = 80, own = true }", "port");
    EXPECT_EQ(port, (PortCheckSpec{80, PortExpect::Bound, true}));
    const auto file = probe<FileCheckSpec>(
        "{ path = \"/a\", max_age = \"1h\", max_size = \"1M\", contains = \"x\", writable = true }",
        "file");
    EXPECT_EQ(file, (FileCheckSpec{"/a", 1h, 1U << 20, "x", true}));
    const auto resource = probe<ResourceCheckSpec>(
        "{ cpu = 90.5, memory = \"1G\", fds = 10, threads = 20, children = 30, for = \"5m\" }",
        "resource");
    EXPECT_EQ(resource, (ResourceCheckSpec{90.5, 1U << 30, 10, 20, 30, 5min}));
    EXPECT_EQ(probe<PortCheckSpec>("{ port = 80, expect = \"free\" }", "port").expect,
              PortExpect::Free);
}

TEST_F(LocalChecksConfig, WhatIsMissingOrImpossibleIsSaidAtItsPlace) {
    EXPECT_THAT(errors_with("unix = {}"), ElementsAre(HasSubstr("path is missing")));
    EXPECT_THAT(errors_with("process = { match = [] }"),
                ElementsAre(HasSubstr("match is missing (like match = \"nginx: master\")")));
    EXPECT_THAT(errors_with("process = { match = [\"\"] }"),
                ElementsAre(HasSubstr("an empty pattern would match every process")));
    EXPECT_THAT(
        errors_with("process = { match = \"a\", min = 3, max = 2 }"),
        ElementsAre("site.toml:3:47: cannot read unit.web.check.process.max: less than min, "
                    "which is 3 (raise max, or lower min)"));
    EXPECT_THAT(errors_with("port = { own = true }"), ElementsAre(HasSubstr("port is missing")));
    EXPECT_THAT(errors_with("port = { port = 1, own = true, expect = \"free\" }"),
                ElementsAre(HasSubstr("a free port belongs to nobody")));
    EXPECT_THAT(errors_with("file = { max_age = \"1h\" }"),
                ElementsAre(HasSubstr("path is missing")));
    EXPECT_THAT(errors_with("resource = { for = \"1m\" }"),
                ElementsAre(HasSubstr("no limit is given (like memory = \"500M\"")));
    EXPECT_THAT(errors_with("resource = { memry = \"1G\" }"),
                testing::Contains(HasSubstr("unknown key (did you mean memory?)")));
    EXPECT_THAT(errors_with("unix = { path = \"/" + std::string(120, 'x') + "\" }"),
                ElementsAre(HasSubstr("longer than the 107 bytes")));
}

TEST_F(LocalChecksConfig, OwnProcessesNeedAUnitThatHasSome) {
    EXPECT_THAT(errors_of("[unit.x]\ncheck.resource = { memory = \"1G\" }\n"),
                ElementsAre(HasSubstr("the unit has no processes of its own")));
    EXPECT_THAT(errors_of("[unit.x]\ncheck.port = { port = 1, own = true }\n"),
                ElementsAre(HasSubstr("the unit has no processes of its own")));
    EXPECT_THAT(errors_of("[unit.x]\ncheck.port = { port = 1 }\n"), ElementsAre());
}

TEST_F(LocalChecksConfig, TlsOfTcpIsTrueOrATable) {
    EXPECT_FALSE(probe<TcpCheckSpec>("{ port = 1 }", "tcp").tls);
    EXPECT_FALSE(probe<TcpCheckSpec>("{ port = 1, tls = false }", "tcp").tls);
    EXPECT_EQ(probe<TcpCheckSpec>("{ port = 1, tls = true }", "tcp").tls, TlsSpec{});
    const auto tcp = probe<TcpCheckSpec>(
        "{ port = 1, tls = { verify = false, ca = \"/ca\", expires_within = \"14d\" } }", "tcp");
    EXPECT_EQ(tcp.tls, (TlsSpec{false, "/ca", 14 * 24h}));
    const auto http =
        probe<HttpCheckSpec>("{ url = \"https://x/\", tls = { expires_within = \"1h\" } }", "http");
    EXPECT_EQ(http.tls.expires_within, 1h);
    EXPECT_THAT(errors_with("tcp = { port = 1, tls = { expires_with = 1 } }"),
                ElementsAre(HasSubstr("did you mean expires_within?")));
}

TEST_F(LocalChecksConfig, LimitsOfTheTree) {
    const Configuration c = good("[unit.web]\ncommand = [\"/bin/true\"]\n"
                                 "limits = { memory = \"64M\", cpu = 50, pids = 10 }\n");
    const LimitSpec& limits = unit(c, "web").process.limits;
    EXPECT_EQ(limits.memory, 64U << 20);
    EXPECT_EQ(limits.cpu, 50U);
    EXPECT_EQ(limits.pids, 10U);
    EXPECT_THAT(errors_of("[unit.web]\ncommand = [\"/bin/true\"]\nlimits = { memory = 64 }\n"),
                ElementsAre(HasSubstr("no program can start in less than 1M")));
    EXPECT_THAT(errors_of("[unit.web]\ncommand = [\"/bin/true\"]\nlimits = { pids = 0 }\n"),
                ElementsAre(HasSubstr("pids")));
}
