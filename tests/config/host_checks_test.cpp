// The keys of dns, log, systemd and host checks, and which units can have which check.
#include "tests/config/config_fixture.h"

using namespace keepwell;
using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

class HostChecksConfig : public ConfigTest {
  protected:
    CheckSpec read(const std::string& id, const std::string& keys) const {
        return check(
            unit(good("[unit.web]\ncommand = [\"/bin/true\"]\ncheck." + id + " = " + keys + "\n"),
                 "web"),
            id);
    }
    template <class T>
    T probe(const std::string& id, const std::string& keys) const {
        return std::get<T>(read(id, keys).probe);
    }
    std::vector<std::string> errors_with(const std::string& check) const {
        return errors_of("[unit.web]\ncommand = [\"/bin/true\"]\ncheck." + check + "\n");
    }
};

} // namespace

TEST_F(HostChecksConfig, EachTypeHasItsKeys) {
    EXPECT_EQ(probe<DnsCheckSpec>("dns", "{ name = \"db.example\" }"),
              (DnsCheckSpec{"db.example", "", DnsRecord::A, ""}));
    EXPECT_EQ(probe<DnsCheckSpec>("dns", "{ name = \"db.example\", server = \"[::1]:5353\", record "
                                         "= \"AAAA\", expect = \"2001:DB8:0::1\" }"),
              (DnsCheckSpec{"db.example", "[::1]:5353", DnsRecord::Aaaa, "2001:db8::1"}));
    EXPECT_EQ(probe<LogCheckSpec>("log", "{ bad = \"FATAL\" }"), (LogCheckSpec{"FATAL", "", 0s}));
    EXPECT_EQ(probe<LogCheckSpec>("log", "{ good = \"done\", within = \"1h\" }"),
              (LogCheckSpec{"", "done", 1h}));
    EXPECT_EQ(probe<SystemdCheckSpec>("systemd", "{ unit = \"nginx.service\" }"),
              (SystemdCheckSpec{"nginx.service", {"active"}, "system"}));
    EXPECT_EQ(probe<SystemdCheckSpec>("systemd", "{ unit = \"a.timer\", states = [\"active\", "
                                                 "\"inactive\"], bus = \"user\" }"),
              (SystemdCheckSpec{"a.timer", {"active", "inactive"}, "user"}));
    const HostCheckSpec host{{{"/", 90, std::nullopt}},
                             {{"/var", 80, std::nullopt}},
                             95,
                             50.5,
                             2,
                             10,
                             std::nullopt,
                             40,
                             5min};
    EXPECT_EQ(probe<HostCheckSpec>("host", "{ disk = 90, inodes = { path = \"/var\", max = 80 }, "
                                           "memory = 95, swap = 50.5, load = 2, pressure = { cpu = "
                                           "10, io = 40 }, for = \"5m\" }"),
              host);
    const std::vector<DiskLimit> disks = {{"/var", 90, 1U << 30}, {"/srv", std::nullopt, 1U << 20}};
    EXPECT_EQ(probe<HostCheckSpec>("host",
                                   "{ disk = [{ path = \"/var\", max = 90, free = \"1G\" }, "
                                   "{ path = \"/srv\", free = \"1M\" }] }")
                  .disk,
              disks);
}

TEST_F(HostChecksConfig, WhatATypeIsForSetsItsDefaults) {
    EXPECT_EQ(read("log", "{ bad = \"x\" }").failures, 1U) << "one bad line is enough";
    EXPECT_EQ(read("log", "{ bad = \"x\", failures = 2 }").failures, 2U);
    EXPECT_EQ(read("log", "{ good = \"x\", within = \"1m\" }").failures, 3U);
    EXPECT_FALSE(read("host", "{ disk = 90 }").heals) << "no restart empties a disk";
    EXPECT_TRUE(read("host", "{ disk = 90, heals = true }").heals);
    const auto with = good("[defaults.check]\nheals = true\nfailures = 5\n[unit.web]\ncommand = "
                           "[\"/bin/true\"]\ncheck.host = { disk = 90 }\ncheck.log = { bad = \"x\" "
                           "}\n");
    EXPECT_TRUE(check(unit(with, "web"), "host").heals);
    EXPECT_EQ(check(unit(with, "web"), "log").failures, 5U);
}

TEST_F(HostChecksConfig, WhatIsMissingOrImpossibleOfDns) {
    EXPECT_THAT(errors_with("dns = {}"),
                ElementsAre("site.toml:3:7: cannot read unit.web.check.dns: name is missing (like "
                            "name = \"db.example\")"));
    EXPECT_THAT(errors_with("dns = { name = \"a b\" }"), ElementsAre(HasSubstr("is not a name")));
    EXPECT_THAT(errors_with("dns = { name = \"a\", record = \"a\" }"),
                ElementsAre(HasSubstr("A, AAAA, CNAME")));
    EXPECT_THAT(errors_with("dns = { name = \"a\", expect = \"b\" }"),
                ElementsAre(HasSubstr("\"b\" is no IPv4 address, and record is \"A\"")));
    for (const char* server : {"192.0.2.53", "192.0.2.53:53", "::1", "[::1]", "[2001:db8::1]:5353"})
        EXPECT_THAT(errors_with(std::string("dns = { name = \"a\", server = \"") + server + "\" }"),
                    IsEmpty())
            << server;
    for (const char* server : {"ns.example", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:70000",
                               "[::1", "[::1]53", "[192.0.2.1]:53", ":53", "1.2.3"})
        EXPECT_THAT(errors_with(std::string("dns = { name = \"a\", server = \"") + server + "\" }"),
                    ElementsAre(HasSubstr("is not the address of a name server (like")))
            << server;
}

TEST_F(HostChecksConfig, WhatIsMissingOrImpossibleOfLogs) {
    EXPECT_THAT(errors_with("log = {}"), ElementsAre(HasSubstr("neither bad nor good is given")));
    EXPECT_THAT(errors_with("log = { good = \"x\" }"), ElementsAre(HasSubstr("within is missing")));
    EXPECT_THAT(errors_with("log = { bad = \"x\", within = \"1m\" }"),
                ElementsAre(HasSubstr("belongs to good, which is missing")));
    EXPECT_THAT(
        errors_with("log = { bad = \"(\" }"),
        ElementsAre(HasSubstr("unit.web.check.log.bad: \"(\" is not a regular expression")));
    EXPECT_THAT(errors_with("log = { bad = \"a*\" }"),
                ElementsAre(HasSubstr("matches the empty text")));
}

TEST_F(HostChecksConfig, WhatIsMissingOrImpossibleOfSystemdAndHost) {
    EXPECT_THAT(errors_with("systemd = {}"), ElementsAre(HasSubstr("unit is missing")));
    EXPECT_THAT(errors_with("systemd = { unit = \"nginx x\" }"),
                ElementsAre(HasSubstr("is no name of a systemd unit")));
    EXPECT_THAT(errors_with("systemd = { unit = \"a.service\", states = [\"running\"] }"),
                ElementsAre(HasSubstr("\"running\" is no state of systemd")));
    EXPECT_THAT(errors_with("systemd = { unit = \"a.service\", states = [] }"),
                ElementsAre(HasSubstr("no state would ever be right")));
    EXPECT_THAT(errors_with("host = { for = \"1m\" }"),
                ElementsAre(HasSubstr("no limit is given (like disk = 90 or memory = 95)")));
    EXPECT_THAT(errors_with("host = { disk = { path = \"/\" } }"),
                ElementsAre(HasSubstr("no limit is given (like max = 90 or free = \"1G\")")));
    EXPECT_THAT(errors_with("host = { disk = [90] }"), ElementsAre(HasSubstr("expected a table")));
    EXPECT_THAT(errors_with("host = { disk = 101 }"), ElementsAre(HasSubstr("host.disk")));
    EXPECT_THAT(errors_with("host = { pressure = {} }"),
                ElementsAre(HasSubstr("no limit is given (like io = 40)")));
    EXPECT_THAT(errors_with("host = { inodes = { max = 1, free = \"1G\" } }"),
                ElementsAre(HasSubstr("unknown key")));
}

TEST_F(HostChecksConfig, ALogCheckNeedsALog) {
    EXPECT_THAT(
        errors_of("[unit.x]\ncheck.log = { bad = \"x\" }\n"),
        ElementsAre(
            "site.toml:2:13: cannot read unit.x.check.log: keepwell knows of no log of this "
            "unit (name its files, like log_files = [\"/var/log/nginx/error.log\"])"));
    EXPECT_THAT(errors_of("[unit.x]\nlog_files = [\"/var/log/x\"]\ncheck.log = { bad = \"x\" }\n"
                          "[unit.y]\nsystemd = \"y\"\ncheck.log = { bad = \"x\" }\n"),
                IsEmpty());
    EXPECT_THAT(errors_of("[unit.x]\ncommand = [\"/bin/true\"]\nlog = { mode = \"none\" }\n"
                          "check.log = { bad = \"x\" }\n"),
                ElementsAre(HasSubstr("log.mode is \"none\", so no line will ever be seen")));
    EXPECT_THAT(errors_of("[unit.x]\ncheck.dns = { name = \"a\" }\ncheck.host = { disk = 90 }\n"
                          "check.systemd = { unit = \"a.service\" }\n"),
                IsEmpty());
}
