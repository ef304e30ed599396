// supervisord.conf: the dialect and what single options become.
#include "import_support.h"
#include "supervisor/import/supervisord_values.h"

namespace keepwell::importer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

Imported from_supervisord(const std::string& text) {
    auto imported = import_text(Format::Supervisord, text);
    EXPECT_TRUE(imported) << imported.error().message;
    if (!imported) return {};
    EXPECT_EQ(errors_in(imported->toml), "");
    return *imported;
}

std::string program(const std::string& options) {
    return from_supervisord("[program:x]\ncommand=/bin/x\n" + options).toml;
}

TEST(Supervisord, ItsOwnDefaultOfRestartingIsWrittenOut) {
    EXPECT_THAT(program(""), HasSubstr("restart = \"on-failure\""));
    EXPECT_THAT(program("autorestart=unexpected\n"), HasSubstr("restart = \"on-failure\""));
    EXPECT_THAT(program("autorestart=true\n"), HasSubstr("restart = \"always\""));
    EXPECT_THAT(program("autorestart=false\n"), HasSubstr("restart = \"never\""));
}

TEST(Supervisord, CommentsNeedASpaceBeforeThem) {
    EXPECT_THAT(from_supervisord("[program:x]\ncommand=/bin/x a;b c#d ; comment\n").toml,
                HasSubstr("command = [\"/bin/x\", \"a;b\", \"c#d\"]"));
    EXPECT_THAT(from_supervisord(
                    "[program:x] ; why\n; command=/bin/no\n# command=/bin/no\ncommand: /bin/x\n")
                    .toml,
                HasSubstr("command = [\"/bin/x\"]"));
}

TEST(Supervisord, IndentedLinesGoOnAndALaterOptionWins) {
    EXPECT_THAT(from_supervisord(
                    "[program:x]\ncommand=/bin/x\n  --one\n\n  --two ; no\nCOMMAND=/bin/y\n  -z\n")
                    .toml,
                HasSubstr("command = [\"/bin/y\", \"-z\"]"));
}

TEST(Supervisord, PathsAreRelativeToTheFile) {
    EXPECT_THAT(program("directory=%(here)s/run\n"), HasSubstr("directory = \"/etc/run\""));
    const Imported imported = from_supervisord("[program:x]\ncommand=./run\n");
    EXPECT_THAT(imported.toml, HasSubstr("directory = \"/etc\""));
    EXPECT_THAT(lines_of_notes(imported), HasSubstr("source:1: cannot import directory of x"));
}

TEST(Supervisord, CopiesAreInstancesWhereTheNumberChangesNothing) {
    const std::string plain =
        program("numprocs=3\nprocess_name=%(program_name)s_%(process_num)02d\n");
    EXPECT_THAT(plain, HasSubstr("instances = 3\n"));
    const std::string from_one =
        from_supervisord(
            "[program:x]\ncommand=/bin/x -n %(process_num)s\nnumprocs=2\nnumprocs_start=1\n")
            .toml;
    EXPECT_THAT(from_one, HasSubstr("command = [\"/bin/x\", \"-n\", \"{instance}\"]"));
    // keepwell would count 1, 2 where these must have 0, 1.
    const std::string from_zero =
        from_supervisord("[program:x]\ncommand=/bin/x -n %(process_num)s\nnumprocs=2\n").toml;
    EXPECT_THAT(from_zero, Not(HasSubstr("instances")));
    EXPECT_THAT(from_zero, HasSubstr("[unit.x-0]\ncommand = [\"/bin/x\", \"-n\", \"0\"]\ngroup = "
                                     "\"x\"\n"));
    EXPECT_THAT(from_zero, HasSubstr("[unit.x-1]\ncommand = [\"/bin/x\", \"-n\", \"1\"]\n"));
}

TEST(Supervisord, LowerPriorityStartsFirst) {
    const auto loaded =
        load_toml(from_supervisord("[program:late]\ncommand=/bin/x\n"
                                   "[program:db]\ncommand=/bin/x\npriority=1\n"
                                   "[program:off]\ncommand=/bin/x\npriority=5\nautostart=no\n"
                                   "[program:web]\ncommand=/bin/x\npriority=10\n")
                      .toml);
    std::map<std::string, std::vector<std::string>> after;
    for (const UnitSpec& unit : loaded.config.units) after[unit.key] = unit.after;
    EXPECT_THAT(after["db"], ElementsAre());
    EXPECT_THAT(after["web"], ElementsAre("db"));
    EXPECT_THAT(after["late"], ElementsAre("web"));
}

TEST(Supervisord, VariablesOfTheEnvironmentStayVariables) {
    ::setenv("IMPORT_HOME", "/home/x", 1);
    const std::string toml =
        program("environment=A=\"%(ENV_IMPORT_HOME)s/$${b}\",B='100%%',C=\"${IMPORT_HOME}\"\n");
    EXPECT_THAT(toml, HasSubstr("A = \"${IMPORT_HOME}/$$$${b}\", B = \"100%\", C = "
                                "\"$${IMPORT_HOME}\""));
    const auto loaded = load_toml(toml);
    ::unsetenv("IMPORT_HOME");
    EXPECT_THAT(loaded.config.units.at(0).process.environment,
                testing::IsSupersetOf({"A=/home/x/$${b}", "B=100%", "C=${IMPORT_HOME}"}));
}

TEST(Supervisord, VariablesThatTheFileSetsAreKnown) {
    const Imported imported = from_supervisord("[supervisord]\nenvironment=A=one,B=two\n"
                                               "[program:x]\ncommand=/bin/x %(ENV_A)s %(ENV_B)s\n"
                                               "environment=B=\"%(ENV_A)s-own\"\n");
    EXPECT_THAT(imported.toml, HasSubstr("command = [\"/bin/x\", \"one\", \"one-own\"]"));
}

TEST(Supervisord, OutputIsNotCapturedWhereItWasThrownAway) {
    EXPECT_THAT(program("stdout_logfile=NONE\nredirect_stderr=true\n"),
                HasSubstr("log = { mode = \"none\" }"));
    EXPECT_THAT(program("stdout_logfile=/dev/null\nstderr_logfile=off\n"),
                HasSubstr("log = { mode = \"none\" }"));
    const Imported half = from_supervisord("[program:x]\ncommand=/bin/x\nstdout_logfile=NONE\n");
    EXPECT_THAT(half.toml, Not(HasSubstr("log =")));
    EXPECT_THAT(lines_of_notes(half), HasSubstr("source:3: cannot import stdout_logfile = NONE"));
    EXPECT_THAT(program("stdout_logfile_maxbytes=0\n"), Not(HasSubstr("max_size")));
}

TEST(SupervisordPairs, AreReadWithAndWithoutQuotes) {
    Notes notes;
    EXPECT_THAT(split_pairs("A=\"1,2\", B='x y' ,C=z\nD=", {"f", 1}, "environment", notes),
                ElementsAre(Pair("A", "1,2"), Pair("B", "x y"), Pair("C", "z"), Pair("D", "")));
    EXPECT_TRUE(notes.take().empty());
    EXPECT_THAT(split_pairs("A=1,nothing", {"f", 1}, "environment", notes),
                ElementsAre(Pair("A", "1")));
    EXPECT_EQ(notes.take().size(), 1U);
}

} // namespace
} // namespace keepwell::importer
