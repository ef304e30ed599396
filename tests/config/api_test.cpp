#include "config_fixture.h"

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ConfigApi = ConfigTest;

const std::string kUnit = "[unit.web]\n" + kSleep;

TEST_F(ConfigApi, EveryKeyIsRead) {
    const ApiSpec api =
        good("[supervisor.api]\nanonymous = ['read', 'logs']\nmax_streams = 5\n"
             "max_streams_per_address = 2\ntokens_file = '/etc/keepwell/tokens'\n"
             "tls = { cert = 'a.pem', key = '/k.pem' }\nallowed_hosts = ['Status.Example']\n"
             "origins = ['https://Site.example:8443']\nframe_ancestors = ['self', "
             "'https://site.example']\nbehind_proxy = true\n" +
             kUnit)
            .supervisor.api;
    EXPECT_THAT(*api.anonymous, ElementsAre("read", "logs"));
    EXPECT_EQ(api.max_streams, 5U);
    EXPECT_EQ(api.max_streams_per_address, 2U);
    EXPECT_EQ(api.tokens_file, "/etc/keepwell/tokens");
    EXPECT_EQ(api.tls, (ApiTlsSpec{(folder_ / "a.pem").string(), "/k.pem"}));
    EXPECT_THAT(api.allowed_hosts, ElementsAre("status.example"));
    EXPECT_THAT(api.origins, ElementsAre("https://site.example:8443"));
    EXPECT_THAT(api.frame_ancestors, ElementsAre("'self'", "https://site.example"));
    EXPECT_TRUE(api.behind_proxy);
    EXPECT_FALSE(good(kUnit).supervisor.api.anonymous);
}

TEST_F(ConfigApi, MistakesAreNamedAtTheirPlace) {
    EXPECT_THAT(
        errors_of("[supervisor]\nlisten = ['example.org:80']\n[supervisor.api]\n"
                  "anonymous = ['control', 'raed']\ntls = { cert = 'a.pem' }\n"
                  "allowed_hosts = ['a:80']\norigins = ['https://a.example/', '*']\n"
                  "frame_ancestors = [\"'none'\"]\nmax_streams = -1\n" +
                  kUnit),
        ElementsAre(
            HasSubstr("site.toml:2:11: cannot read supervisor.listen[0]: \"example.org:80\" names "
                      "a host (write its address"),
            HasSubstr("site.toml:4:14: cannot read supervisor.api.anonymous[0]: nobody gets the "
                      "scope control without a token"),
            HasSubstr("site.toml:4:25: cannot read supervisor.api.anonymous[1]: \"raed\" is none "
                      "of read, logs, metrics"),
            HasSubstr("site.toml:5:1: cannot read supervisor.api.tls: key is missing"),
            HasSubstr("site.toml:6:18: cannot read supervisor.api.allowed_hosts[0]: \"a:80\" is "
                      "not a host name"),
            HasSubstr("site.toml:7:12: cannot read supervisor.api.origins[0]: "
                      "\"https://a.example/\" is not an origin"),
            HasSubstr("site.toml:7:34: cannot read supervisor.api.origins[1]"),
            HasSubstr("site.toml:8:20: cannot read supervisor.api.frame_ancestors[0]"),
            HasSubstr("site.toml:9:15: cannot read supervisor.api.max_streams: -1")));
}

TEST_F(ConfigApi, WhatOtherMachinesReachIsEncrypted) {
    const std::string open = "[supervisor]\nlisten = ['127.0.0.1:1', '0.0.0.0:5001', '[::]:1']\n";
    EXPECT_THAT(errors_of(open + kUnit),
                ElementsAre(HasSubstr("site.toml:2:26: cannot read supervisor.listen[1]: "
                                      "\"0.0.0.0:5001\" is open to other machines: encrypt it"),
                            HasSubstr("supervisor.listen[2]")));
    EXPECT_THAT(errors_of(open + "api.behind_proxy = true\n" + kUnit), IsEmpty());
    EXPECT_THAT(errors_of(open + "api.tls = { cert = '/c', key = '/k' }\n" + kUnit), IsEmpty());
    EXPECT_THAT(
        errors_of("[supervisor]\nlisten = ['localhost:1', '[::1]:1', '127.9.0.1:1']\n" + kUnit),
        IsEmpty());
}

} // namespace
} // namespace keepwell
