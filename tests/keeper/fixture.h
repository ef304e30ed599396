// A keeper of its own for each test, in its own runtime folder, with the test as the supervisor.
// Everything that was started carries a mark in its environment and is killed at the end, also
// after a failure.
#pragma once

#include "supervisor/keeper/keeper_client.h"
#include "supervisor/keeper/link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace keepwell::test {

struct Seen {
    enum Kind { Spawned, Failed, Exited, TreeEmpty, Adopted } kind;
    std::string key;
    Generation generation = 0;
    std::int64_t pid = 0;
    SpawnStage stage = SpawnStage::None;
    int error = 0;
    ExitStatus status;
};

struct Mode {
    const char* name;
    std::vector<std::string> environment;
    bool can_all = false; // trees are owned, exits of others are known
};

class KeeperTest : public ::testing::TestWithParam<Mode>, public ProcessListener {
  public:
    void SetUp() override;
    void TearDown() override;

    void start_keeper(std::vector<std::string> extra_environment = {});
    void connect();    // to the keeper's present supervisor
    void disconnect(); // closes the link, keeps the bridge
    void kill_supervisor();
    void kill_keeper(); // and waits until it is gone
    int wait_keeper();  // its wait status

    [[nodiscard]] bool wait(const std::function<bool()>& condition, int seconds = 10);
    UnitSpec unit(const std::string& key, Argv command) const;
    UnitSpec shell(const std::string& key, const std::string& script) const;
    const Seen* find(Seen::Kind, const std::string& key, Generation = 0) const;
    std::size_t count(Seen::Kind) const;
    bool wait_for(Seen::Kind kind, const std::string& key, Generation generation = 0) {
        return wait([&] { return find(kind, key, generation) != nullptr; });
    }
    std::int64_t spawn(const UnitSpec&, Generation = 1); // pid, or 0
    std::string output(const std::string& key, const std::string& until);
    std::string path(const std::string& name) const { return dir_ + "/" + name; }
    std::vector<std::int64_t> marked() const; // processes that this test started
    bool full() const { return GetParam().can_all; }

    void on_spawned(const std::string& key, Generation g, std::int64_t pid) override;
    void on_spawn_failed(const std::string& key, Generation g, SpawnStage s, int e,
                         const std::string& text) override;
    void on_exited(const std::string& key, Generation g, const ExitStatus& s) override;
    void on_tree_empty(const std::string& key, Generation g) override;
    void on_adopted(const std::string& key, Generation g, std::int64_t pid, Instant) override;
    void on_list_complete() override { listed = true; }

    uv::Loop loop;
    uv::MonotonicClock clock;
    std::vector<Seen> seen;
    std::map<std::string, UniqueFd> outputs; // "a" and "a@7", and "a!" for a stderr of its own
    std::vector<UniqueFd> stages;
    bool listed = false, lost = false, stop_asked = false, reload_asked = false;
    bool leave_asked = false;
    std::string upgrade_refused;
    bool ack_all = true;
    std::unique_ptr<KeeperClient> client;
    pid_t keeper = 0, supervisor = 0;
    std::string keeper_errors() const; // what it said on stderr

  private:
    std::string dir_, mark_;
    UniqueFd listener_, bridge_;
};

inline std::string mode_name(const ::testing::TestParamInfo<Mode>& info) { return info.param.name; }
inline const Mode kFull{"Full", {}, true};
inline const Mode kBare{"Bare", {"KEEPWELL_NO_CAPABILITIES=1"}};
inline const Mode kOwnMemory{"OwnMemory", {"KEEPWELL_NO_SHARED_MEMORY=1"}, true}; // a child
inline const Mode kJoining{"Joining", // cgroups of an older kernel
                           {"KEEPWELL_NO_CLONE3=1", "KEEPWELL_NO_CGROUP_KILL=1",
                            "KEEPWELL_NO_CLOSE_RANGE=1", "KEEPWELL_NO_CLONE_PIDFD=1"}};
std::string read_text(const std::string& path);
bool alive(std::int64_t pid); // and no zombie

} // namespace keepwell::test
