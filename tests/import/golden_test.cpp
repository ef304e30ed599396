// Whole files of every format against what they should become: golden/CASE holds the source and
// wanted.toml and wanted.notes. To accept a change that is meant: KEEPWELL_ACCEPT=1 import_test.
#include "import_support.h"

#include <cstdlib>

namespace keepwell::importer {
namespace {

struct Case {
    std::string folder; // below golden/ or real/
    Format format;
    std::string main;
};

std::string to_test_name(const testing::TestParamInfo<Case>& info) {
    std::string name = info.param.folder;
    for (char& c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    }
    return name;
}

class Golden : public testing::TestWithParam<Case> {
  protected:
    Golden() { ::setenv("IMPORT_TOKEN", "secret of the environment", 1); }
    ~Golden() override { ::unsetenv("IMPORT_TOKEN"); }
};

void expect_same(const std::filesystem::path& wanted, const std::string& text) {
    if (std::getenv("KEEPWELL_ACCEPT") != nullptr) std::ofstream(wanted) << text;
    EXPECT_EQ(text, read_text(wanted)) << wanted;
}

TEST_P(Golden, BecomesWhatIsWantedAndLoads) {
    const std::filesystem::path folder = std::string(IMPORT_TESTS) + "/golden/" + GetParam().folder;
    const std::string root = "/etc/" + GetParam().folder;
    config::BundleSource source = bundle_of(folder, root);
    const auto imported = import_file(GetParam().format, root + "/" + GetParam().main, source);
    ASSERT_TRUE(imported) << imported.error().message;
    expect_same(folder / "wanted.toml", imported->toml);
    expect_same(folder / "wanted.notes", lines_of_notes(*imported));
    EXPECT_EQ(errors_in(imported->toml), "");
    for (const Note& note : imported->notes)
        EXPECT_THAT(note.text, testing::StartsWith("cannot import ")) << to_string(note);
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden,
                         testing::Values(Case{"monitor-site", Format::Monitor, "monitor.yml"},
                                         Case{"monitor-forms", Format::Monitor, "monitor.yml"},
                                         Case{"supervisord-site", Format::Supervisord,
                                              "supervisord.conf"},
                                         Case{"monit-web", Format::Monit, "monitrc"},
                                         Case{"monit-odd", Format::Monit, "monitrc"},
                                         Case{"procfile-app", Format::Procfile, "Procfile"}),
                         to_test_name);

} // namespace
} // namespace keepwell::importer
