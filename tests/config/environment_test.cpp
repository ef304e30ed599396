#include "supervisor/config/environment.h"

#include "config_fixture.h"

namespace keepwell {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ConfigEnvironment = ConfigTest;

std::vector<std::string> environment_of(const Configuration& config) {
    return config.units.at(0).process.environment;
}

TEST_F(ConfigEnvironment, AChildGetsACleanOneOfItsUser) {
    ::setenv("SECRET_OF_THE_CALLER", "x", 1);
    ::setenv("LANG", "de_DE.UTF-8", 1);
    EXPECT_THAT(environment_of(good("[unit.a]\ncommand = ['/bin/true']\nuser = 'nobody'\n")),
                ElementsAre("HOME=/nonexistent", "LANG=de_DE.UTF-8", "LOGNAME=nobody",
                            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                            "USER=nobody", "XDG_RUNTIME_DIR=/run/user/65534"));
}

TEST_F(ConfigEnvironment, InheritedThenFileThenTable) {
    ::setenv("KW_ONE", "inherited", 1);
    ::setenv("KW_TWO", "inherited", 1);
    ::setenv("KW_THREE", "inherited", 1);
    ::unsetenv("KW_UNSET");
    write(
        "env",
        "# a comment\n\nexport KW_TWO='from file'\nKW_THREE = \"x=y\"\r\nKW_PLAIN=$HOME # kept\n");
    const auto got = environment_of(
        good("[unit.a]\ncommand = ['/bin/true']\nenv_file = 'env'\n"
             "inherit_environment = ['KW_ONE', 'KW_TWO', 'KW_THREE', 'KW_UNSET']\n"
             "environment = { KW_THREE = 'table', PORT = 80, DEBUG = true, PATH = '/bin' }\n"));
    EXPECT_THAT(got, ::testing::IsSupersetOf({"KW_ONE=inherited", "KW_TWO=from file",
                                              "KW_THREE=table", "PORT=80", "DEBUG=true",
                                              "PATH=/bin", "KW_PLAIN=$HOME # kept"}));
    EXPECT_THAT(got, Not(Contains(::testing::StartsWith("KW_UNSET"))));
}

TEST_F(ConfigEnvironment, AVariableThatOnlyLooksLikeASecretFileIsLeftAlone) {
    write("base.toml", "[unit.a]\ncommand = ['/bin/true']\nenvironment = { key_file = '/a' }\n");
    write("host.toml", "[unit.a]\nenvironment = { key = 'b' }\n");
    const LoadResult result = load_files({"base.toml", "host.toml"});
    EXPECT_THAT(environment_of(result.config), ::testing::IsSupersetOf({"key_file=/a", "key=b"}));
}

TEST_F(ConfigEnvironment, ABadEnvFileNamesItsLineButNotItsText) {
    write("env", "A=1\nhunter2\n");
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true']\nenv_file = 'env'\n"),
                ElementsAre("site.toml:3:12: cannot read unit.a.env_file: " +
                            (folder_ / "env").string() + ":2: not a line like NAME=value"));
    EXPECT_THAT(
        errors_of("[unit.a]\ncommand = ['/bin/true']\nenv_file = ['gone']\n"),
        ElementsAre(HasSubstr("site.toml:3:13: cannot read unit.a.env_file[0]: cannot read ")));
}

TEST_F(ConfigEnvironment, OneStringMayHaveWhatTheKernelTakes) {
    const std::string fits(131'069, 'x'); // "A=" and the NUL make 131,072
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true']\nenvironment.A = '" + fits + "'\n"),
                IsEmpty());
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true']\nenvironment.A = 'x" + fits + "'\n"),
                ElementsAre("site.toml:3:17: cannot read unit.a.environment.A: A=… has 131072 "
                            "bytes and one may have "
                            "131071 (pass a file instead)"));
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true', 'xxx" + fits + "']\n"),
                ElementsAre("site.toml:2:11: cannot read unit.a.command: an argument has 131072 "
                            "bytes and one may have "
                            "131071 (pass a file instead)"));
}

TEST_F(ConfigEnvironment, AllTogetherMayHaveAQuarterOfTheStack) {
    std::string text =
        "[unit.a]\ncommand = ['/bin/true']\nlimits.stack = '1M'\n[unit.a.environment]\n";
    for (int i = 0; i < 10'000; ++i)
        text += "V" + std::to_string(i) + " = 'some value of thirty bytes....'\n";
    EXPECT_THAT(
        errors_of(text),
        ElementsAre(HasSubstr("bytes and a quarter of the stack limit is 262144 (shorten them)")));
}

TEST_F(ConfigEnvironment, UsersMayBeNumbersAndHaveAGroup) {
    const Configuration config = good("[unit.a]\ncommand = ['/bin/true']\nuser = '54321:www-data'\n"
                                      "[unit.b]\ncommand = ['/bin/true']\nuser = 'www-data'\n");
    const UserSpec& a = *unit(config, "a").process.user;
    EXPECT_EQ(a.uid, 54321U);
    EXPECT_EQ(a.gid, 33U);
    EXPECT_EQ(a.home, "/");
    EXPECT_THAT(a.groups, ElementsAre(33U));
    const UserSpec& b = *unit(config, "b").process.user;
    EXPECT_EQ(b.uid, 33U);
    EXPECT_EQ(b.home, "/var/www");
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true']\nuser = '4294967295'\n"),
                ElementsAre(HasSubstr("no user")));
}

} // namespace
} // namespace keepwell
