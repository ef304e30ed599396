// Actions: what operators asked for, followed until the real result is known.
//
// An action names units; each is pending, working, ok or failed. start is ok when the unit is
// ready, stop when its whole tree is gone, restart when a newer generation is ready; a unit that
// ends in backoff, cooldown or failed makes it failed with the reason. stop goes in reverse order
// of dependencies, one layer after the other. Finished actions are kept for ten minutes (at most
// 200).
#pragma once

#include "supervisor/api/control.h"
#include "supervisor/engine/engine.h"
#include "units/ports/timers.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

class Actions {
  public:
    struct Ports {
        Engine& engine;
        const Clock& clock;
        std::function<std::string(UnitIndex)> reason; // text of the table's last column
        std::function<std::string(UnitIndex)>
            survivors; // "812 (nginx, state D)", empty = none known
    };
    explicit Actions(Ports);

    // Posts the events for start, stop and restart; for the other verbs the caller reports by
    // set().
    std::string begin(Verb, const std::vector<UnitIndex>&, const std::string& who);
    // Stops everything in reverse order without touching the wanted states.
    std::string begin_shutdown(const std::vector<UnitIndex>&);
    void set(const std::string& id, const std::string& key, bool ok, const std::string& message);
    void stepped(const StepInfo&);
    void erased(const std::string& key);
    std::optional<ActionView> view(const std::string& id) const;
    std::vector<std::string> ids() const { return {order_.begin(), order_.end()}; } // oldest first
    // Is a stop of these units under way for which some still live? Used by shutdown.
    bool finished(const std::string& id) const;

  private:
    struct Member {
        std::string key;
        Generation generation_before = 0;
        bool posted = false;
        bool seen =
            false; // the engine has taken the order; before that the record says nothing of it
        std::string status = "pending";
        std::string message;
    };
    struct Action {
        std::string id;
        Verb verb = Verb::Start;
        std::string who;
        bool shutdown = false;
        Instant begun, ended{};
        std::vector<Member> members;
        bool finished() const;
    };
    std::string begin(Verb, const std::vector<UnitIndex>&, const std::string& who, bool shutdown);
    void advance(Action&);
    void post(Action&, Member&);
    bool may_stop(const Action&, UnitIndex) const;
    void judge(Action&, Member&, UnitIndex);
    void judge_start(Member&, UnitIndex, bool newer);
    static void judge_refusal(Action&, Member&, const std::string& why);
    void judge_stop(Member&, UnitIndex);
    static void finish(Member&, bool ok, std::string message);
    void prune();

    Ports p_;
    std::uint64_t next_ = 1;
    std::map<std::string, Action> actions_;
    std::deque<std::string> order_;
};

} // namespace keepwell
