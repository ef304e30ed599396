#include "supervisor/config/last_good.h"

#include "config_fixture.h"

#include <sys/stat.h>

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using LastGood = ConfigTest;

TEST_F(LastGood, ComesBackWithIncludesAndOverridesWhenTheFilesAreGone) {
    write("etc/site.toml",
          "include = ['conf.d/*.toml', '../shared.toml']\n[unit.web]\n" + kSleep + "nice = 1\n");
    write("etc/conf.d/a.toml", "[unit.a]\n" + kSleep);
    write("shared.toml", "[unit.shared]\n" + kSleep);
    write("host.toml", "[unit.web]\nnice = 7\n");
    const LoadResult loaded = load_files({"etc/site.toml", "host.toml"});
    ASSERT_TRUE(loaded.ok());
    const std::string state = folder_ / "state";
    std::filesystem::create_directory(state);
    ASSERT_TRUE(save_last_good(state, loaded));
    std::filesystem::remove_all("etc");
    std::filesystem::remove("host.toml");
    const LoadResult back = load_last_good(state, LoadOptions{});
    EXPECT_THAT(texts(back.errors), IsEmpty());
    EXPECT_EQ(keys(back.config), keys(loaded.config));
    EXPECT_EQ(unit(back.config, "web").process.nice, 7);
    EXPECT_THAT(diff(loaded.config, back.config).unchanged, ElementsAre("web", "a", "shared"));
}

TEST_F(LastGood, HoldsWhatWasLoadedAndNotWhatTheFileBecame) {
    const LoadResult loaded = load("[unit.web]\n" + kSleep);
    write("site.toml", "broken");
    ASSERT_TRUE(save_last_good(folder_, loaded));
    EXPECT_THAT(keys(load_last_good(folder_, LoadOptions{}).config), ElementsAre("web"));
}

TEST_F(LastGood, TheFormWithNamesReadsTheFilesNow) {
    write("site.toml", "[unit.web]\n" + kSleep);
    ASSERT_TRUE(save_last_good(folder_, std::vector<std::string>{"site.toml"}));
    const LoadResult back = load_last_good(folder_);
    EXPECT_TRUE(back.ok());
    EXPECT_THAT(keys(back.config), ElementsAre("web"));
    EXPECT_FALSE(save_last_good(folder_, std::vector<std::string>{"gone.toml"}));
}

TEST_F(LastGood, ManyFilesWithTextThatLooksLikeTheBundleSurvive) {
    const LoadResult loaded =
        load("[unit.web]\n" + kSleep + "description = '''\nfile 3 4\nend\n'''\n");
    ASSERT_TRUE(loaded.ok());
    ASSERT_TRUE(save_last_good(folder_, loaded));
    const LoadResult back = load_last_good(folder_, LoadOptions{});
    EXPECT_EQ(unit(back.config, "web").description, "file 3 4\nend\n");
}

TEST_F(LastGood, IsPrivateAndLeavesNoTemporaryFile) {
    ASSERT_TRUE(save_last_good(folder_, load("[unit.web]\n" + kSleep)));
    ASSERT_TRUE(save_last_good(folder_, load("[unit.web]\n" + kSleep)));
    struct stat info {};
    ASSERT_EQ(::stat(last_good_file(folder_).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_FALSE(std::filesystem::exists(last_good_file(folder_) + ".new"));
}

TEST_F(LastGood, MissingAndDamagedBundlesAreErrorsThatSayWhatToDo) {
    EXPECT_THAT(texts(load_last_good(folder_, LoadOptions{}).errors),
                ElementsAre(HasSubstr("no configuration was ever loaded without an error")));
    ASSERT_TRUE(save_last_good(folder_, load("[unit.web]\n" + kSleep)));
    const std::string file = last_good_file(folder_);
    const auto size = std::filesystem::file_size(file);
    for (std::uintmax_t cut = 0; cut < size; ++cut) {
        ASSERT_TRUE(save_last_good(folder_, load("[unit.web]\n" + kSleep)));
        std::filesystem::resize_file(file, cut);
        EXPECT_THAT(texts(load_last_good(folder_, LoadOptions{}).errors),
                    ElementsAre(HasSubstr("it is damaged")))
            << cut;
    }
}

TEST_F(LastGood, AnUnwritableFolderIsAnErrorWithItsCause) {
    const Status saved = save_last_good(folder_ / "gone", load("[unit.web]\n" + kSleep));
    ASSERT_FALSE(saved);
    EXPECT_THAT(saved.error().message,
                HasSubstr("No such file or directory (make the folder writable"));
}

} // namespace
} // namespace keepwell
