#include "supervisor/engine/state_file.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace keepwell;
namespace fs = std::filesystem;

namespace {

struct StateFileTest : testing::Test {
    StateFileTest() {
        char name[] = "/tmp/keepwell-state-XXXXXX";
        dir = mkdtemp(name);
        path = dir + "/supervisor.state";
    }
    ~StateFileTest() override { fs::remove_all(dir); }
    std::unique_ptr<StateFile> open() {
        auto f = StateFile::open(path, &note);
        EXPECT_TRUE(f) << (f ? "" : f.error().message);
        return std::move(*f);
    }
    std::string dir, path, note;
};

} // namespace

TEST_F(StateFileTest, RecordsComeBackByKey) {
    {
        auto f = open();
        ASSERT_TRUE(f->save("web", "one"));
        ASSERT_TRUE(f->save("db", "two"));
        ASSERT_TRUE(f->save("web", "three"));
    }
    auto f = open();
    EXPECT_EQ(f->stored().at("web"), "three");
    EXPECT_EQ(f->stored().at("db"), "two");
    EXPECT_TRUE(note.empty());
}

TEST_F(StateFileTest, ATornWriteLeavesTheOneBefore) {
    {
        auto f = open();
        ASSERT_TRUE(f->save("web", "old")); // sequence 1: second slot
        ASSERT_TRUE(f->save("web", "new")); // sequence 2: first slot
    }
    const int fd = ::open(path.c_str(), O_WRONLY);
    ASSERT_EQ(pwrite(fd, "XXXX", 4, 4096 + 80), 4);
    ::close(fd);
    EXPECT_EQ(open()->stored().at("web"), "old");
}

TEST_F(StateFileTest, ErasedUnitsStayAwayAndTheirPlaceIsUsedAgain) {
    {
        auto f = open();
        ASSERT_TRUE(f->save("web", "x"));
        f->erase("web");
    }
    {
        auto f = open();
        EXPECT_TRUE(f->stored().empty());
        ASSERT_TRUE(f->save("db", "y"));
    }
    auto f = open();
    EXPECT_EQ(f->stored().size(), 1U);
    EXPECT_EQ(f->stored().at("db"), "y");
    EXPECT_LE(fs::file_size(path), 4096U + 2 * 1024U);
}

TEST_F(StateFileTest, AThirdOwnerOfAPlaceIsNewerThanWhatWasErasedThere) {
    for (const int saves : {9, 8, 1}) {
        auto f = open();
        const std::string key = "u" + std::to_string(saves);
        for (int i = 0; i < saves; ++i) ASSERT_TRUE(f->save(key, std::to_string(i)));
        if (saves > 1) f->erase(key);
    }
    auto f = open();
    ASSERT_EQ(f->stored().size(), 1U);
    EXPECT_EQ(f->stored().at("u1"), "0");
    EXPECT_LE(fs::file_size(path), 4096U + 2 * 1024U);
}

TEST_F(StateFileTest, AByteThatChangedAnywhereCostsOneRecordAtMostAndInventsNone) {
    {
        auto f = open();
        for (const char* key : {"a", "b"})
            for (const char* text : {"older", "newer"}) ASSERT_TRUE(f->save(key, text));
    }
    std::string whole;
    {
        std::ifstream in(path, std::ios::binary);
        whole.assign(std::istreambuf_iterator<char>(in), {});
    }
    // Every byte of the slots in use, and the header's.
    for (std::size_t at = 0; at < whole.size(); ++at) {
        if (at < 4096 ? at >= 64 : at % 1024 >= 100) continue; // owner words and nothing
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
        std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
        auto f = open();
        std::size_t newest = 0;
        for (const auto& [key, text] : f->stored()) {
            ASSERT_TRUE(key == "a" || key == "b") << "byte " << at;
            ASSERT_TRUE(text == "older" || text == "newer") << "byte " << at;
            newest += text == "newer" ? 1 : 0;
        }
        if (at >= 4096) {
            ASSERT_EQ(f->stored().size(), 2U) << "byte " << at;
            ASSERT_GE(newest, 1U) << "byte " << at;
        }
        f.reset();
        for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path()))
            if (entry.path().string().find(".corrupt-") != std::string::npos)
                fs::remove(entry.path());
    }
}

TEST_F(StateFileTest, AnotherBootsFileIsMovedAsideAndSaysSo) {
    { ASSERT_TRUE(open()->save("web", "x")); }
    const int fd = ::open(path.c_str(), O_WRONLY);
    ASSERT_EQ(pwrite(fd, "00000000", 8, 16), 8);
    ::close(fd);
    auto f = open();
    EXPECT_TRUE(f->stored().empty());
    EXPECT_NE(note.find("another boot"), std::string::npos) << note;
    EXPECT_TRUE(fs::exists(path + ".corrupt-1"));
}

TEST_F(StateFileTest, GarbageOfAnyLengthIsMovedAside) {
    for (const std::size_t size : {1U, 100U, 4095U, 9000U}) {
        std::ofstream(path, std::ios::trunc) << std::string(size, 'Z');
        auto f = open();
        EXPECT_TRUE(f->stored().empty());
        ASSERT_TRUE(f->save("web", "x"));
    }
    EXPECT_EQ(open()->stored().at("web"), "x");
}

TEST_F(StateFileTest, TheOwnerWordsSurvive) {
    { std::snprintf(open()->stage_owner(1)->key, 64, "noisy"); }
    EXPECT_STREQ(open()->stage_owner(1)->key, "noisy");
    EXPECT_STREQ(open()->stage_owner(0)->key, "");
}

TEST_F(StateFileTest, ManyUnitsEachKeepTheirOwn) {
    {
        auto f = open();
        for (int i = 0; i < 500; ++i)
            ASSERT_TRUE(
                f->save("u" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'a')));
    }
    auto f = open();
    for (int i = 0; i < 500; ++i)
        EXPECT_EQ(f->stored().at("u" + std::to_string(i)).size(), static_cast<std::size_t>(i));
}
