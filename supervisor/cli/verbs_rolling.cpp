// A rolling restart lives here and not in the supervisor: each batch is an ordinary action that
// goes on by itself, so whatever happens to this program, nothing is left half done and no further
// unit is touched.
#include "supervisor/cli/fetch.h"
#include "supervisor/cli/progress.h"
#include "supervisor/cli/render.h"
#include "supervisor/cli/verbs.h"

#include <algorithm>
#include <chrono>

namespace keepwell::cli {

namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int kPollMs = 200;
constexpr std::int64_t kDefaultPatienceMs = 120'000;
constexpr auto kSilence = 15s;    // the keeper replaces a dead or hanging supervisor, mostly sooner
constexpr auto kDownForGood = 1s; // a verdict of the last instant may be one of before the restart

struct Member {
    enum class Step { Pending, Restarting, Settling, Done, Failed };
    std::string key;
    Step step = Step::Pending;
    std::int64_t generation = 0; // before the restart; later the one that shall be healthy
    std::string message;
    Steady::time_point begun, down_since;
    bool down = false;

    bool settled() const { return step == Step::Done || step == Step::Failed; }
    void end(bool ok, std::string text) {
        step = ok ? Step::Done : Step::Failed;
        message = std::move(text);
    }
    const char* word() const {
        switch (step) {
        case Step::Pending: return "pending";
        case Step::Restarting:
        case Step::Settling: return "working";
        case Step::Done: return "ok";
        case Step::Failed: return "failed";
        }
        return "";
    }
};

class Rolling {
  public:
    Rolling(Context& context, const Json& status, const std::vector<std::string>& keys)
        : context_(context), progress_(context.out(), context.style()) {
        patience_ = std::chrono::milliseconds(
            duration_ms(context.options().patience).value_or(kDefaultPatienceMs));
        for (const auto& key : keys) {
            members_.push_back(
                {key, {}, status["services"][key]["generation"].integer(), "", {}, {}});
        }
    }

    int run() {
        const InterruptGuard guard;
        const std::size_t at_once = context_.options().rolling.value_or(1);
        for (std::size_t first = 0; first < members_.size(); first += at_once) {
            const std::size_t end = std::min(first + at_once, members_.size());
            if (const int code = begin(first, end); code != kExitOk) return code;
            if (const int code = wait(first, end); code != kExitOk) return code;
            if (failed(first, end)) return tell_failure();
            if (InterruptGuard::interrupted() && end < members_.size())
                return tell("stopped after this batch", kExitInterrupted);
        }
        show(true);
        return kExitOk;
    }

  private:
    // Asks for the restart of members [first, end).
    int begin(std::size_t first, std::size_t end) {
        std::vector<std::string> names;
        for (std::size_t i = first; i < end; ++i) {
            names.push_back(members_[i].key);
            members_[i].step = Member::Step::Restarting;
            members_[i].begun = Steady::now();
        }
        auto answer = context_.client().post(
            "/api/actions", "{\"verb\":\"restart\",\"names\":" + json_quote(names) + "}");
        if (!answer)
            return tell(failure_text("cannot go on", safe_text(answer.error().message)),
                        kExitError);
        if (answer->status != 202) return context_.refused(*answer, names);
        const auto accepted = Json::parse(answer->body);
        action_ = accepted ? (*accepted)["action_id"].text() : "";
        return kExitOk;
    }

    int wait(std::size_t first, std::size_t end) {
        auto heard = Steady::now();
        bool told = false;
        while (!settled(first, end)) {
            if (look(first, end)) heard = Steady::now();
            show(false);
            if (InterruptGuard::count() > 1)
                return tell("no longer waiting; what was begun goes on", kExitInterrupted);
            if (InterruptGuard::interrupted() && !told) {
                told = true;
                context_.note("stopping after this batch; Ctrl-C again to leave at once");
            }
            if (Steady::now() - heard > kSilence)
                return tell("cannot go on: the supervisor does not answer", kExitError);
            if (!settled(first, end)) sleep_ms(kPollMs);
        }
        return kExitOk;
    }

    // One look at the supervisor; false when it gave no answer.
    bool look(std::size_t first, std::size_t end) {
        if (!action_.empty() && !look_at_action()) return false;
        auto answer = context_.client().get("/api/status");
        if (!answer || answer->status != 200) return false;
        const auto status = Json::parse(answer->body);
        if (!status) return false;
        for (std::size_t i = first; i < end; ++i)
            if (!members_[i].settled()) judge(members_[i], (*status)["services"][members_[i].key]);
        return true;
    }

    // A successor of the supervisor does not know the action; then the units alone tell.
    bool look_at_action() {
        auto answer = context_.client().get("/api/actions/" + url_part(action_));
        if (!answer) return false;
        const auto action =
            answer->status == 200 ? Json::parse(answer->body) : Result<Json>(Json{});
        if (!action) return false;
        for (const auto& unit : (*action)["units"].items()) {
            const auto at = std::find_if(members_.begin(), members_.end(), [&](const Member& m) {
                return m.key == unit["key"].text();
            });
            if (at == members_.end() || at->step != Member::Step::Restarting) continue;
            at->message = unit["message"].text();
            if (unit["status"].text() == "failed") at->end(false, unit["message"].text());
        }
        if (answer->status != 200 || (*action)["finished"].boolean()) action_.clear();
        return true;
    }

    void judge(Member& m, const Json& unit) {
        if (!unit.is_object()) return m.end(false, "removed from the configuration meanwhile");
        const std::string state = unit["state"].text();
        const std::string reason = unit["reason"].text();
        const std::int64_t generation = unit["generation"].integer();
        const bool external = unit["kind"].text() == "external";
        if (m.step == Member::Step::Restarting) {
            if (!external && generation <= m.generation) return expire(m, reason);
            m.generation = generation;
            m.step = Member::Step::Settling;
        }
        if (generation > m.generation)
            return m.end(false, "did not stay up: " + (reason.empty() ? "started again" : reason));
        if (state == "backoff" || state == "cooldown" || state == "failed")
            return m.end(false, reason.empty() ? state : reason);
        if (unit["desired_state"].text() == "stopped")
            return m.end(false, "stopped by somebody else meanwhile");
        if (state == "completed") return m.end(true, "completed");
        const std::string health = unit["health"]["status"].text();
        if (state == "running" && health == "healthy") {
            const std::chrono::duration<double> took = Steady::now() - m.begun;
            return m.end(true, "healthy after " + human_seconds(took.count()));
        }
        m.message = state == "running" ? "waiting until it is healthy" : state;
        if (!reason.empty()) m.message += ": " + reason;
        const bool down = state == "running" && health == "down";
        if (down && !m.down) m.down_since = Steady::now();
        m.down = down;
        if (down && Steady::now() - m.down_since > kDownForGood) return m.end(false, reason);
        expire(m, reason);
    }

    void expire(Member& m, const std::string& reason) {
        if (Steady::now() - m.begun <= patience_) return;
        m.end(false, "not healthy after " +
                         human_seconds(std::chrono::duration<double>(patience_).count()) +
                         (reason.empty() ? "" : ": " + reason));
    }

    bool settled(std::size_t first, std::size_t end) const {
        return std::all_of(members_.begin() + static_cast<std::ptrdiff_t>(first),
                           members_.begin() + static_cast<std::ptrdiff_t>(end),
                           [](const Member& m) { return m.settled(); });
    }
    bool failed(std::size_t first, std::size_t end) const {
        return std::any_of(members_.begin() + static_cast<std::ptrdiff_t>(first),
                           members_.begin() + static_cast<std::ptrdiff_t>(end),
                           [](const Member& m) { return m.step == Member::Step::Failed; });
    }

    void show(bool finished) {
        std::string units;
        for (const auto& m : members_) {
            units += (units.empty() ? "" : ",") + ("{\"key\":" + json_quote(m.key)) +
                     ",\"status\":\"" + m.word() + "\",\"message\":" + json_quote(m.message) + "}";
        }
        const auto picture =
            Json::parse(std::string("{\"finished\":") + (finished ? "true" : "false") +
                        ",\"units\":[" + units + "]}");
        if (picture) progress_.show(*picture);
    }

    std::string names(std::initializer_list<Member::Step> steps) const {
        std::string out;
        for (const auto& m : members_) {
            if (std::find(steps.begin(), steps.end(), m.step) == steps.end()) continue;
            out += (out.empty() ? "" : " ") + safe_text(m.key);
        }
        return out.empty() ? "none" : out;
    }

    // What was done, what is under way, what was left alone.
    int tell(const std::string& what, int code) {
        show(true);
        const std::string begun = names({Member::Step::Restarting, Member::Step::Settling});
        std::string text = what + "\n  restarted    " + names({Member::Step::Done});
        if (begun != "none") text += "\n  under way    " + begun;
        const std::string broken = names({Member::Step::Failed});
        if (broken != "none") text += "\n  failed       " + broken;
        return context_.fail(text + "\n  not touched  " + names({Member::Step::Pending}), code);
    }

    int tell_failure() {
        for (const auto& m : members_) {
            if (m.step != Member::Step::Failed) continue;
            return tell("stopped at the first failure: " + safe_text(m.key) + ": " +
                            safe_text(m.message) + " (keepwell why " + safe_text(m.key) + ")",
                        kExitError);
        }
        return kExitError;
    }

    Context& context_;
    Progress progress_;
    Steady::duration patience_{};
    std::vector<Member> members_;
    std::string action_; // the one that is followed; empty when it has ended
};

} // namespace

int verb_rolling_restart(Context& context) {
    const Fetched got = fetch_status(context);
    if (!got.document) return got.code;
    const auto keys = select_units(units_of(*got.document), context.options().names);
    if (!keys) return context.fail(keys.error().message, kExitNoSuchUnit);
    return Rolling(context, *got.document, *keys).run();
}

} // namespace keepwell::cli
