#include "tests/keeper/fixture.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>

namespace keepwell::test {

class Spawning : public KeeperTest {
  protected:
    void SetUp() override {
        KeeperTest::SetUp();
        start_keeper();
        connect();
    }
    void expect_failure(const UnitSpec& spec, SpawnStage stage, int error) {
        EXPECT_EQ(spawn(spec), 0) << spec.key;
        const Seen* s = find(Seen::Failed, spec.key);
        ASSERT_NE(s, nullptr) << spec.key;
        EXPECT_EQ(s->stage, stage) << spec.key;
        EXPECT_EQ(s->error, error) << spec.key << ": " << std::strerror(s->error);
    }
    void write_file(const std::string& name, const std::string& text, mode_t mode) {
        std::ofstream(path(name)) << text;
        ::chmod(path(name).c_str(), mode);
    }
};

TEST_P(Spawning, EveryExecFailureNamesItsStageAndError) {
    write_file("plain", "echo hi\n", 0644);
    write_file("noformat", "no magic here\n", 0755);
    write_file("nointerpreter", "#!/no/such/interpreter\n", 0755);
    expect_failure(unit("a", {"/no/such/file"}), SpawnStage::Exec, ENOENT);
    expect_failure(unit("b", {"no-such-program-anywhere"}), SpawnStage::Exec, ENOENT);
    expect_failure(unit("c", {path("plain")}), SpawnStage::Exec, EACCES);
    expect_failure(unit("d", {path("noformat")}), SpawnStage::Exec, ENOEXEC);
    expect_failure(unit("e", {path("nointerpreter")}), SpawnStage::Exec, ENOENT);
    UnitSpec in_path = unit("f", {"plain"});
    in_path.process.environment = {"PATH=/nowhere:" + path("")};
    expect_failure(in_path, SpawnStage::Exec, EACCES);
    UnitSpec homeless = unit("g", {"/bin/true"});
    homeless.process.directory = "/no/such/folder";
    expect_failure(homeless, SpawnStage::Directory, ENOENT);
    UnitSpec greedy = unit("h", {"/bin/true"});
    greedy.process.limits.nofile = std::uint64_t{1} << 40;
    expect_failure(greedy, SpawnStage::Rlimit, EPERM);
    UnitSpec large = unit("i", {"/bin/true", std::string(200'000, 'x')});
    expect_failure(large, SpawnStage::Exec, E2BIG);
    expect_failure(unit("j", {std::string("/bin/tr\0ue", 10)}), SpawnStage::Prepare, EINVAL);
    EXPECT_TRUE(wait([&] { return marked().size() == 2; })) << "only keeper and bridge are left";
}

TEST_P(Spawning, AChildHasExactlyItsThreeDescriptorsAndCleanSignals) {
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}));
    ASSERT_NE(pid, 0);
    const std::string self = "/proc/" + std::to_string(pid);
    const auto fds = [&self] {
        std::vector<std::string> found;
        for (const auto& e : std::filesystem::directory_iterator(self + "/fd"))
            found.push_back(e.path().filename());
        std::sort(found.begin(), found.end());
        return found;
    };
    const std::vector<std::string> three = {"0", "1", "2"};
    (void)wait([&] { return fds() == three; }); // its loader has a library open for a moment
    EXPECT_EQ(fds(), three);
    const std::string status = read_text(self + "/status");
    for (const char* line :
         {"SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "SigCgt:\t0000000000000000"})
        EXPECT_NE(status.find(line), std::string::npos) << line;
    EXPECT_EQ(std::filesystem::read_symlink(self + "/fd/0"), "/dev/null");
    rlimit mine{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &mine), 0);
    rlimit its{};
    ASSERT_EQ(::prlimit(static_cast<pid_t>(pid), RLIMIT_NOFILE, nullptr, &its), 0);
    EXPECT_EQ(its.rlim_cur, mine.rlim_cur);
    EXPECT_EQ(::getsid(static_cast<pid_t>(pid)), pid);
    EXPECT_EQ(client->owns_tree("a"), full());
}

TEST_P(Spawning, TheEnvironmentIsExactlyTheGivenOnePlusTheMark) {
    UnitSpec spec = unit("a", {"env"});
    spec.process.environment.emplace_back("KEEPWELL_UNIT=somebody-else");
    spec.process.environment.emplace_back("KEEPWELL_FLEET=/somebody-else");
    spec.process.environment.emplace_back("LARGE=" + std::string(60'000, 'y')); // by memfd
    ASSERT_NE(spawn(spec), 0);
    const std::string fleet = "KEEPWELL_FLEET=" + path("run") + "\n";
    const std::string text = output("a", fleet);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
    EXPECT_NE(text.find("KEEPWELL_UNIT=a\n"), std::string::npos);
    EXPECT_NE(text.find(fleet), std::string::npos);
    EXPECT_NE(text.find("LARGE=yyy"), std::string::npos);
    EXPECT_EQ(text.find("somebody-else"), std::string::npos);
}

TEST_P(Spawning, PrivilegesAreDroppedWithTheirGroups) {
    UnitSpec spec = unit("a", {"/bin/sh", "-c", "echo x >/dev/stdout; pwd; umask; sleep 60"});
    spec.process.user = UserSpec{"nobody", 65534, 65534, {65534, 7}, "/"};
    spec.process.directory = "/usr";
    spec.process.umask = 027;
    spec.process.nice = 3;
    spec.process.oom_score_adj = 500;
    const auto pid = spawn(spec);
    ASSERT_NE(pid, 0) << find(Seen::Failed, "a")->error;
    EXPECT_EQ(output("a", "0027\n"), "x\n/usr\n0027\n");
    const std::string self = "/proc/" + std::to_string(pid);
    const std::string status = read_text(self + "/status");
    EXPECT_NE(status.find("Uid:\t65534\t65534\t65534\t65534"), std::string::npos);
    EXPECT_NE(status.find("Gid:\t65534\t65534\t65534\t65534"), std::string::npos);
    EXPECT_NE(status.find("Groups:\t7 65534"), std::string::npos);
    EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos);
    EXPECT_EQ(read_text(self + "/oom_score_adj"), "500\n");
    EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(pid)), 3);
}

TEST_P(Spawning, TheLogFileItselfIsStdoutAndBelongsToTheUser) {
    const std::string logs = path("logs");
    client->set_log_directory(logs);
    UnitSpec spec = unit("a", {"/bin/sh", "-c", "echo one; echo two >>/dev/stdout; echo bad >&2"});
    spec.log.mode = LogMode::File;
    spec.process.user = UserSpec{"nobody", 65534, 65534, {65534}, "/"};
    ASSERT_NE(spawn(spec, 1), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 1));
    EXPECT_EQ(read_text(logs + "/a.log"), "one\ntwo\nbad\n");
    EXPECT_EQ(outputs.count("a"), 0U) << "there is no pipe";
    struct stat info {};
    ASSERT_EQ(::stat((logs + "/a.log").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 65534U);
    ASSERT_EQ(::stat(logs.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0U) << "it cannot put another file in its place";
    spec.log.separate_stderr = true;
    ASSERT_NE(spawn(spec, 2), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 2));
    EXPECT_EQ(read_text(logs + "/a.log"), "one\ntwo\nbad\none\ntwo\n") << "appended";
    EXPECT_EQ(read_text(logs + "/a.err.log"), "bad\n");
}

TEST_P(Spawning, ALogFileThatIsNoneIsRefusedAndItsTargetUntouched) {
    const std::string logs = path("logs");
    client->set_log_directory(logs);
    ASSERT_TRUE(std::filesystem::create_directory(logs));
    const std::string precious = path("precious");
    std::ofstream(precious) << "keep";
    std::filesystem::create_symlink(precious, logs + "/a.log");
    UnitSpec spec = unit("a", {"/bin/echo", "attack"});
    spec.log.mode = LogMode::File;
    expect_failure(spec, SpawnStage::Prepare, ELOOP);
    EXPECT_EQ(read_text(precious), "keep");
    spec.key = "b";
    ASSERT_EQ(::mkfifo((logs + "/b.log").c_str(), 0600), 0);
    expect_failure(spec, SpawnStage::Prepare, ENXIO); // nobody waits for a reader
}

TEST_P(Spawning, ATooSmallProcessLimitIsReportedAsAgain) {
    UnitSpec spec = unit("a", {"/bin/true"});
    spec.process.user = UserSpec{"", 64111, 64111, {}, "/"};
    UnitSpec holder = unit("b", {"/bin/sleep", "60"});
    holder.process.user = spec.process.user;
    ASSERT_NE(spawn(holder), 0);
    spec.process.limits.nproc = 0;
    expect_failure(spec, SpawnStage::Exec, EAGAIN);
}

TEST_P(Spawning, AFullProcessTableIsReportedAsForkAgain) {
    const std::string group = "/sys/fs/cgroup/pids/kwk-" + std::to_string(::getpid());
    if (::mkdir(group.c_str(), 0755) != 0) GTEST_SKIP() << "no pids controller";
    const auto set = [&](const char* file, const std::string& text) {
        std::ofstream(group + "/" + file) << text << std::flush;
    };
    set("cgroup.procs", std::to_string(keeper));
    set("pids.max", "1");
    client->spawn(unit("a", {"/bin/true"}), 1);
    const bool answered = wait([&] { return find(Seen::Failed, "a") != nullptr; });
    set("pids.max", "max");
    std::ofstream("/sys/fs/cgroup/pids/cgroup.procs") << keeper << std::flush;
    ::rmdir(group.c_str());
    ASSERT_TRUE(answered);
    EXPECT_EQ(find(Seen::Failed, "a")->stage, SpawnStage::Fork);
    EXPECT_EQ(find(Seen::Failed, "a")->error, EAGAIN);
    EXPECT_NE(spawn(unit("a", {"/bin/true"}), 2), 0) << "the next try works";
}

TEST_P(Spawning, SpawnIsIdempotentAndRefusedWhileThereIsAnInstance) {
    ack_all = false;
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}), 3);
    ASSERT_NE(pid, 0);
    client->spawn(unit("a", {"/bin/sleep", "60"}), 4);
    ASSERT_TRUE(wait_for(Seen::Failed, "a", 4));
    EXPECT_EQ(find(Seen::Failed, "a", 4)->error, EEXIST);
    seen.clear();
    EXPECT_EQ(spawn(unit("a", {"/bin/sleep", "60"}), 3), pid) << "the same answer again";
    client->signal("a", 3, SIGKILL, SignalScope::Process);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 3));
    seen.clear();
    EXPECT_EQ(spawn(unit("a", {"/bin/sleep", "60"}), 4), 0);
    EXPECT_TRUE(wait_for(Seen::Exited, "a", 3)) << "the unacknowledged exit is told again";
    client->ack("a", 3);
    EXPECT_NE(spawn(unit("a", {"/bin/sleep", "60"}), 5), 0);
}

TEST_P(Spawning, AChildStoppedBeforeItsExecDoesNotBlockTheKeeper) {
    // A fifo for a working program: exec is held up by nothing we can stop from here, so the child
    // is stopped as soon as it exists; some rounds hit the moment before its exec.
    UnitSpec spec = unit("a", {"/bin/sleep", "60"});
    spec.start_timeout = std::chrono::milliseconds(300);
    for (Generation g = 1; g <= 20; ++g) {
        client->spawn(spec, g);
        client->signal("a", g, SIGSTOP, SignalScope::Process);
        ASSERT_NE(spawn(unit("other", {"/bin/true"}), g), 0);
        ASSERT_TRUE(wait_for(Seen::TreeEmpty, "other", g));
        ASSERT_TRUE(wait([&] {
            return find(Seen::Spawned, "a", g) != nullptr || find(Seen::Failed, "a", g) != nullptr;
        })) << g;
        if (const Seen* f = find(Seen::Failed, "a", g)) {
            EXPECT_EQ(f->stage, SpawnStage::Timeout);
            continue;
        }
        client->signal("a", g, SIGKILL, SignalScope::Tree);
        ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", g));
    }
}

TEST_P(Spawning, HundredsOfRestartsLeakNoDescriptor) {
    const auto fds = [&] {
        const std::filesystem::directory_iterator dir("/proc/" + std::to_string(keeper) + "/fd");
        return std::distance(begin(dir), end(dir));
    };
    ASSERT_NE(spawn(unit("a", {"/bin/true"}), 1), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 1));
    const auto before = fds();
    for (Generation g = 2; g <= 300; ++g) {
        seen.clear();
        client->spawn(unit("a", {"/bin/true"}), g);
        ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", g)) << g;
    }
    EXPECT_TRUE(wait([&] { return fds() <= before; })) << before << ' ' << fds();
}

INSTANTIATE_TEST_SUITE_P(Keeper, Spawning, ::testing::Values(kFull, kOwnMemory, kBare), mode_name);

} // namespace keepwell::test
