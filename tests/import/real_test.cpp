// Configurations that Debian packages ship (real/README.md names them): every one is imported and
// loads, and what it asks for is in the result or in a note.
#include "import_support.h"

#include <algorithm>
#include <regex>
#include <set>

namespace keepwell::importer {
namespace {

using testing::HasSubstr;

const std::string kReal = std::string(IMPORT_TESTS) + "/real/";

std::set<std::uint32_t> lines_with(const std::string& text, const std::regex& what) {
    std::set<std::uint32_t> lines;
    std::istringstream in(text);
    std::uint32_t number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (std::regex_search(line, what)) lines.insert(number);
    }
    return lines;
}

struct RealMonit {
    std::string name;
    Imported imported;
};

std::vector<RealMonit> import_each_monit() {
    std::vector<RealMonit> all;
    config::BundleSource source = bundle_of(kReal + "monit", "/etc/monit");
    for (const std::string& file : source.match("/etc/monit/conf-available/*")) {
        auto imported = import_file(Format::Monit, file, source);
        EXPECT_TRUE(imported) << file;
        if (imported) all.push_back({file, std::move(*imported)});
    }
    return all;
}

TEST(RealMonit, EachShippedCheckLoadsAndIsStartedByItsScript) {
    const auto all = import_each_monit();
    ASSERT_EQ(all.size(), 15U);
    for (const auto& [name, imported] : all) {
        SCOPED_TRACE(name);
        EXPECT_EQ(errors_in(imported.toml), "");
        const std::string text = read_text(kReal + "monit/conf-available/" +
                                           std::filesystem::path(name).filename().string());
        const auto count = [&](const char* what) {
            return lines_with(text, std::regex(std::string("^ *check ") + what)).size();
        };
        EXPECT_EQ(imported.units, count("(process|file|directory)"));
        EXPECT_EQ(lines_with(imported.toml, std::regex("^pidfile = ")).size(), count("process"));
        EXPECT_THAT(imported.toml, HasSubstr("start_command = [\"/etc/init.d/"));
        EXPECT_THAT(imported.toml, HasSubstr("budget = { restarts = "));
    }
}

TEST(RealMonit, EveryTestOfAPortOrSocketIsACheckOrANote) {
    for (const auto& [name, imported] : import_each_monit()) {
        SCOPED_TRACE(name);
        const std::string text = read_text(kReal + "monit/conf-available/" +
                                           std::filesystem::path(name).filename().string());
        const auto tests = lines_with(text, std::regex("^ *if failed (host|port|unixsocket)"));
        const auto udp = lines_with(text, std::regex("^ *if failed .*type udp"));
        const auto checks =
            lines_with(imported.toml, std::regex("^check\\.(http|tcp|unix)(-[0-9])? = "));
        EXPECT_EQ(checks.size(), tests.size() - udp.size());
        for (const std::uint32_t line : udp) {
            EXPECT_TRUE(std::ranges::any_of(imported.notes, [&](const Note& n) {
                return n.file == name && n.line == line;
            })) << line;
        }
    }
}

TEST(RealMonit, AllOfThemTogetherWithTheMainFile) {
    config::BundleSource::Files files;
    const std::string main =
        read_text(kReal + "monit/monitrc") + "\ninclude /etc/monit/conf-available/*\n";
    files.emplace_back("/etc/monit/monitrc", main);
    for (const char* sub : {"conf-available", "templates"}) {
        for (const auto& entry : std::filesystem::directory_iterator(kReal + "monit/" + sub)) {
            files.emplace_back(std::string("/etc/monit/") + sub + "/" +
                                   entry.path().filename().string(),
                               read_text(entry.path()));
        }
    }
    config::BundleSource source(std::move(files));
    const auto imported = import_file(Format::Monit, "/etc/monit/monitrc", source);
    ASSERT_TRUE(imported) << imported.error().message;
    EXPECT_EQ(errors_in(imported->toml), "");
    EXPECT_THAT(imported->toml, HasSubstr("interval = \"2m\""));
    EXPECT_THAT(imported->toml, HasSubstr("[unit.nginx]\npidfile = \"/var/run/nginx.pid\"\n"
                                          "start_command = [\"/etc/init.d/nginx\", \"start\"]\n"));
    EXPECT_THAT(imported->toml, HasSubstr("budget = { restarts = 5, within = \"10m\", then = "
                                          "\"stop\" }"));
    // The permissions that every template asks for have no counterpart, and are said where they
    // stand.
    EXPECT_THAT(lines_of_notes(*imported),
                HasSubstr("/etc/monit/templates/rootbin:2: cannot import \"if failed permission "
                          "755 then unmonitor\": keepwell has no such check\n"));
    EXPECT_THAT(lines_of_notes(*imported), HasSubstr("cannot import \"set eventqueue\": "));
}

TEST(RealMonit, TheOneOfFail2ban) {
    config::BundleSource source = bundle_of(kReal + "fail2ban", "/etc/monit/monitrc.d");
    const auto imported = import_file(Format::Monit, "/etc/monit/monitrc.d/fail2ban", source);
    ASSERT_TRUE(imported) << imported.error().message;
    EXPECT_EQ(errors_in(imported->toml), "");
    EXPECT_THAT(imported->toml,
                HasSubstr("check.unix = { path = \"/var/run/fail2ban/fail2ban.sock\" }"));
    EXPECT_THAT(lines_of_notes(*imported),
                HasSubstr("fail2ban:9: cannot import \"if match ERROR|WARNING then alert\""));
}

// The sample of supervisord has every option, each behind one semicolon.
TEST(RealSupervisord, EveryOptionOfTheSampleIsTakenOrNamed) {
    std::string sample = std::regex_replace(read_text(kReal + "supervisor/sample.conf"),
                                            std::regex("(^|\n);(?=[^ \n])"), "$1");
    sample = std::regex_replace(sample, std::regex("user=chrism"), "user=nobody");
    sample = std::regex_replace(sample, std::regex("user=supervisord "), "user=daemon ");
    config::BundleSource source({{"/etc/sample.conf", sample}});
    const auto imported = import_file(Format::Supervisord, "/etc/sample.conf", source);
    ASSERT_TRUE(imported) << imported.error().message;
    EXPECT_EQ(errors_in(imported->toml), "");
    EXPECT_EQ(imported->units, 1U);
    EXPECT_THAT(imported->toml, HasSubstr("[unit.theprogramname]\ncommand = [\"/bin/cat\"]\n"));
    EXPECT_THAT(imported->toml, HasSubstr("stop = { signal = \"QUIT\", timeout = \"10s\" }"));
    EXPECT_THAT(imported->toml, HasSubstr("log = { max_size = \"1M\", keep = 10 }"));
    const std::string notes = lines_of_notes(*imported);
    for (const char* option :
         {"serverurl of", "stdout_syslog of", "stdout_events_enabled of", "stderr_syslog of",
          "stdout_capture_maxbytes of", "stdout_logfile of", "startretries of",
          "[eventlistener:theeventlistenername]", "[unix_http_server]", "[inet_http_server]",
          "minfds of [supervisord]", "logfile of [supervisord]"}) {
        EXPECT_THAT(notes, HasSubstr(std::string("cannot import ") + option));
    }
}

TEST(RealSupervisord, FilesOfItsOwnTestsLoadWithAllTheirPrograms) {
    config::BundleSource source = bundle_of(kReal + "supervisor/fixtures", "/etc/supervisor");
    std::size_t seen = 0;
    for (const std::string& file : source.match("/etc/supervisor/*.conf")) {
        SCOPED_TRACE(file);
        const std::string text = read_text(kReal + "supervisor/fixtures/" +
                                           std::filesystem::path(file).filename().string());
        const auto programs = lines_with(text, std::regex("^\\[program:"));
        const auto imported = import_file(Format::Supervisord, file, source);
        ASSERT_TRUE(imported) << imported.error().message;
        EXPECT_EQ(errors_in(imported->toml), "");
        EXPECT_GE(imported->units, programs.size());
        ++seen;
    }
    EXPECT_GE(seen, 15U);
}

TEST(RealSupervisord, TheDefaultFileOfDebianHasNoProgramAndSaysSo) {
    config::BundleSource source = bundle_of(kReal + "supervisor", "/etc/supervisor");
    const auto imported =
        import_file(Format::Supervisord, "/etc/supervisor/supervisord.conf", source);
    ASSERT_TRUE(imported) << imported.error().message;
    EXPECT_EQ(imported->units, 0U);
    EXPECT_THAT(lines_of_notes(*imported), HasSubstr("cannot import anything"));
}

} // namespace
} // namespace keepwell::importer
