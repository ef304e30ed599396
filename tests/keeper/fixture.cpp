#include "tests/keeper/fixture.h"

#include "supervisor/keeper/proc.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell::test {

namespace fs = std::filesystem;

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

bool alive(std::int64_t pid) {
    proc::Stat stat;
    return proc::read_stat(static_cast<pid_t>(pid), stat) && stat.state != 'Z' && stat.state != 'X';
}

void KeeperTest::SetUp() {
    char name[] = "/tmp/kwk-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    fs::permissions(dir_, fs::perms(0755));
    mark_ = "KEEPWELL_TEST=" + dir_;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/bridge", name);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 8), 0);
}

void KeeperTest::TearDown() {
    client.reset();
    if (keeper > 0) {
        ::kill(keeper, SIGKILL);
        ::waitpid(keeper, nullptr, 0);
    }
    // A process has no environment for an instant of its exec, so that one look may miss it.
    int quiet = 0;
    EXPECT_TRUE(wait([&] {
        const auto left = marked();
        quiet = left.empty() ? quiet + 1 : 0;
        for (const auto pid : left) ::kill(static_cast<pid_t>(pid), SIGKILL);
        return quiet == 3;
    }));
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : fs::canonical(dir_).string() + "/run")
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    char name[40];
    std::snprintf(name, sizeof name, "keepwell-%016llx", static_cast<unsigned long long>(hash));
    std::error_code error;
    for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
        const fs::path base = fs::path(root) / name;
        if (!fs::exists(base, error)) continue;
        for (const auto& entry : fs::directory_iterator(base, error))
            if (entry.is_directory()) ::rmdir(entry.path().c_str());
        ::rmdir(base.c_str());
    }
    fs::remove_all(dir_, error);
}

std::vector<std::int64_t> KeeperTest::marked() const {
    std::vector<std::int64_t> out;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string environment = read_text("/proc/" + name + "/environ");
        if (environment.find(mark_) != std::string::npos && std::stoi(name) != ::getpid())
            out.push_back(std::stoi(name));
    }
    return out;
}

void KeeperTest::start_keeper(std::vector<std::string> extra) {
    std::vector<std::string> environment = GetParam().environment;
    environment.push_back(mark_);
    environment.emplace_back("PATH=/usr/bin:/bin");
    environment.insert(environment.end(), extra.begin(), extra.end());
    const std::string run = path("run"), bridge = path("bridge"), errors = path("errors");
    keeper = ::fork();
    ASSERT_GE(keeper, 0);
    if (keeper == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        const int fd = ::open(errors.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(fd, 2);
        std::vector<char*> envp;
        for (auto& e : environment) envp.push_back(e.data());
        envp.push_back(nullptr);
        ::execle(KEEPER_BINARY, "keepwell-keeper", "--runtime-dir", run.c_str(), "--",
                 BRIDGE_BINARY, bridge.c_str(), nullptr, envp.data());
        ::_exit(127);
    }
}

void KeeperTest::connect() {
    timeval limit{10, 0};
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bridge_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(bridge_) << keeper_errors();
    iovec part{&supervisor, sizeof supervisor};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    ASSERT_GT(::recvmsg(bridge_.get(), &m, MSG_CMSG_CLOEXEC), 0);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    seen.clear();
    outputs.clear();
    stages.clear();
    listed = lost = stop_asked = reload_asked = leave_asked = false;
    KeeperClient::Hooks hooks;
    hooks.on_output = [this](const std::string& key, Generation g, int pipe) {
        outputs[key + "@" + std::to_string(g)].reset(fcntl(pipe, F_DUPFD_CLOEXEC, 3));
        outputs[key].reset(pipe);
    };
    hooks.on_errors = [this](const std::string& key, Generation, int pipe) {
        outputs[key + "!"].reset(pipe);
    };
    hooks.on_connected = [this](std::vector<StagePipe> pipes) {
        for (const StagePipe& p : pipes) {
            stages.emplace_back(p.read);
            stages.emplace_back(p.write);
        }
    };
    hooks.on_stop_requested = [this] { stop_asked = true; };
    hooks.on_reload_requested = [this] { reload_asked = true; };
    hooks.on_leave_requested = [this] { leave_asked = true; };
    hooks.on_upgrade_refused = [this](const std::string& why) { upgrade_refused = why; };
    hooks.on_lost = [this] { lost = true; };
    client = std::make_unique<KeeperClient>(loop, clock, fd, hooks);
    client->set_listener(this);
    client->start();
    ASSERT_TRUE(wait([this] { return listed; })) << keeper_errors();
}

void KeeperTest::disconnect() { client.reset(); }

void KeeperTest::kill_supervisor() {
    client.reset();
    ::kill(supervisor, SIGKILL);
}

void KeeperTest::kill_keeper() {
    ::kill(keeper, SIGKILL);
    ASSERT_EQ(::waitpid(keeper, nullptr, 0), keeper);
    keeper = 0;
}

int KeeperTest::wait_keeper() {
    int status = -1;
    if (!wait([&] { return ::waitpid(keeper, &status, WNOHANG) == keeper; }, 25)) return -1;
    keeper = 0;
    return status;
}

bool KeeperTest::wait(const std::function<bool()>& condition, int seconds) {
    const auto deadline = clock.now() + std::chrono::seconds(seconds);
    uv::Timer wake(loop, [] {});
    wake.start(5, 5);
    while (!condition()) {
        if (clock.now() >= deadline) return false;
        loop.run_once();
    }
    return true;
}

UnitSpec KeeperTest::unit(const std::string& key, Argv command) const {
    UnitSpec spec;
    spec.key = key;
    spec.process.command = std::move(command);
    spec.process.environment = {"PATH=/usr/bin:/bin", mark_};
    return spec;
}

UnitSpec KeeperTest::shell(const std::string& key, const std::string& script) const {
    return unit(key, {"/bin/sh", "-c", script});
}

const Seen* KeeperTest::find(Seen::Kind kind, const std::string& key, Generation g) const {
    for (const Seen& s : seen)
        if (s.kind == kind && s.key == key && (g == 0 || s.generation == g)) return &s;
    return nullptr;
}

std::size_t KeeperTest::count(Seen::Kind kind) const {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.kind == kind; }));
}

std::int64_t KeeperTest::spawn(const UnitSpec& spec, Generation g) {
    client->spawn(spec, g);
    const bool answered = wait([&] {
        return find(Seen::Spawned, spec.key, g) != nullptr ||
               find(Seen::Failed, spec.key, g) != nullptr;
    });
    const Seen* s = answered ? find(Seen::Spawned, spec.key, g) : nullptr;
    return s == nullptr ? 0 : s->pid;
}

std::string KeeperTest::output(const std::string& key, const std::string& until) {
    std::string text;
    (void)wait([&] {
        char buffer[4096];
        const ssize_t n = ::read(outputs[key].get(), buffer, sizeof buffer);
        if (n > 0) text.append(buffer, static_cast<std::size_t>(n));
        return text.find(until) != std::string::npos;
    });
    return text;
}

std::string KeeperTest::keeper_errors() const { return read_text(path("errors")); }

void KeeperTest::on_spawned(const std::string& key, Generation g, std::int64_t pid) {
    seen.push_back({Seen::Spawned, key, g, pid, SpawnStage::None, 0, {}});
}
void KeeperTest::on_spawn_failed(const std::string& key, Generation g, SpawnStage s, int e,
                                 const std::string&) {
    seen.push_back({Seen::Failed, key, g, 0, s, e, {}});
}
void KeeperTest::on_exited(const std::string& key, Generation g, const ExitStatus& s) {
    seen.push_back({Seen::Exited, key, g, 0, SpawnStage::None, 0, s});
    if (ack_all) client->ack(key, g);
}
void KeeperTest::on_tree_empty(const std::string& key, Generation g) {
    seen.push_back({Seen::TreeEmpty, key, g, 0, SpawnStage::None, 0, {}});
    if (ack_all) client->ack(key, g);
}
void KeeperTest::on_adopted(const std::string& key, Generation g, std::int64_t pid, Instant) {
    seen.push_back({Seen::Adopted, key, g, pid, SpawnStage::None, 0, {}});
}

} // namespace keepwell::test
