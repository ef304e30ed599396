// The live table: one thread that waits for the supervisor, the keyboard and signals at once.
//
// News come by the events' long poll: a status document is fetched when something happened, and
// every few seconds for the figures. Without an answer it tries again once a second.
#include "supervisor/cli/async_client.h"
#include "supervisor/cli/render.h"
#include "supervisor/cli/terminal.h"
#include "supervisor/cli/top_model.h"
#include "supervisor/cli/verbs.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>

namespace keepwell::cli {

namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr long kAnswerMs = 5'000;
constexpr int kFiguresS = 5; // the long poll gives up after this and figures are fetched
constexpr long kLongPollMs = kFiguresS * 1000L + kAnswerMs;
constexpr auto kAtMostEvery = 100ms; // a storm of events redraws no faster
constexpr auto kRetry = 1s;
constexpr int kTickMs = 1000; // uptimes and countdowns
constexpr std::size_t kIncidents = 5;

class Top {
  public:
    Top(Context& context, TopSort sort)
        : context_(context),
          client_(context.client().socket_path()),
          model_(sort, context.options().names) {}

    int run() {
        fetch_status();
        std::vector<pollfd> fds = {{terminal_.key_fd(), POLLIN, 0},
                                   {terminal_.signal_fd(), POLLIN, 0}};
        for (;;) {
            terminal_.draw(model_.lines(context_.now_ms(), style()));
            client_.wait(fds, timeout_ms());
            if (fds[1].revents != 0 && terminal_.signals() == Terminal::Event::Leave)
                return kExitOk;
            if (fds[0].revents != 0 && !press_keys()) return kExitOk;
            if (due_ && Steady::now() >= *due_) fetch_status();
        }
    }

  private:
    Style style() const {
        Style style = context_.style();
        const TerminalSize size = terminal_.size();
        style.width = size.width;
        style.height = size.height;
        return style;
    }

    int timeout_ms() const {
        if (!due_) return kTickMs;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due_ - Steady::now());
        return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kTickMs));
    }

    bool press_keys() {
        for (const auto& key : terminal_.keys()) {
            if (key == "gone") return false;
            const Wish wish = model_.key(key);
            switch (wish.kind) {
            case Wish::Kind::None: break;
            case Wish::Kind::Leave: return false;
            case Wish::Kind::Why: ask_why(wish.unit); break;
            case Wish::Kind::Restart: restart(wish.unit); break;
            }
        }
        return true;
    }

    void fetch_status() {
        due_.reset();
        client_.get("/api/status", kAnswerMs, [this](const Result<Response>& answer) {
            if (!answer && answer.error().code == EACCES) return read_file();
            const auto document = answer && answer->status == 200
                                      ? Json::parse(answer->body)
                                      : Result<Json>(Error{"no answer"});
            if (!document) return away();
            model_.status(*document, context_.now_ms());
            fetched_ = Steady::now();
            wait_for_events();
        });
    }

    // A reader who may not open the socket looks at the file.
    void read_file() {
        std::ifstream file(context_.status_file());
        std::stringstream text;
        text << file.rdbuf();
        const auto document = Json::parse(text.str());
        due_ = Steady::now() + kRetry;
        if (!document) return model_.silent("no status.json");
        const auto written = parse_time((*document)["generated_at"].text());
        const double stale = (*document)["stale_after_s"].number().value_or(90);
        const std::int64_t at = written.value_or(0);
        model_.status(*document, at);
        if (static_cast<double>(context_.now_ms() - at) / 1000 > stale) model_.silent("old");
    }

    void wait_for_events() {
        // The first question only asks where the stream is.
        const std::string path = known_ ? "/api/events?limit=1&since=" + std::to_string(since_) +
                                              "&wait=" + std::to_string(kFiguresS)
                                        : "/api/events?limit=1&since=" + std::to_string(INT64_MAX);
        client_.get(path, kLongPollMs, [this](const Result<Response>& answer) {
            const auto events = answer && answer->status == 200 ? Json::parse(answer->body)
                                                                : Result<Json>(Error{"no answer"});
            if (!events) return away();
            since_ = (*events)["last"].integer();
            const bool first = !known_;
            known_ = true;
            if (first) return wait_for_events();
            due_ = std::max(Steady::now(), fetched_ + kAtMostEvery);
        });
    }

    void away() {
        known_ = false;
        model_.silent("no answer");
        due_ = Steady::now() + kRetry;
    }

    void ask_why(const std::string& unit) {
        model_.say("asking why");
        client_.get("/api/why/" + url_part(unit), kAnswerMs,
                    [this](const Result<Response>& answer) {
                        if (!answer) return model_.say("cannot say why: no answer", true);
                        const auto why = Json::parse(answer->body);
                        if (answer->status != 200 || !why)
                            return model_.say("cannot say why", true);
                        Style plain = style();
                        plain.colour = false;
                        model_.say("");
                        model_.story(render_why(*why, kIncidents, context_.now_ms(), plain));
                    });
    }

    void restart(const std::string& unit) {
        model_.say("restarting " + unit);
        const std::string body =
            "{\"verb\":\"restart\",\"names\":" + json_quote(std::vector<std::string>{unit}) + "}";
        client_.post("/api/actions", body, kAnswerMs, [this, unit](const Result<Response>& answer) {
            if (!answer) return model_.say("cannot restart " + unit + ": no answer", true);
            const auto accepted = Json::parse(answer->body);
            if (answer->status != 202 || !accepted)
                return model_.say(accepted ? (*accepted)["error"].text() : "refused", true);
            follow((*accepted)["action_id"].text(), unit);
        });
    }

    void follow(const std::string& id, const std::string& unit) {
        const std::string path =
            "/api/actions/" + url_part(id) + "?wait=" + std::to_string(kFiguresS);
        client_.get(path, kLongPollMs, [this, id, unit](const Result<Response>& answer) {
            const auto action = answer && answer->status == 200 ? Json::parse(answer->body)
                                                                : Result<Json>(Error{"no answer"});
            if (!action)
                return model_.say("cannot say how the restart of " + unit + " ended", true);
            if (!(*action)["finished"].boolean()) return follow(id, unit);
            std::string text = unit + ": ";
            for (const auto& member : (*action)["units"].items()) text += member["message"].text();
            model_.say(text, !(*action)["ok"].boolean());
        });
    }

    Context& context_;
    AsyncClient client_;
    TopModel model_;
    Terminal terminal_;
    std::optional<Steady::time_point> due_; // of the next status document
    Steady::time_point fetched_;
    std::int64_t since_ = 0;
    bool known_ = false; // where the stream of events is
};

} // namespace

int verb_top(Context& context) {
    std::string why;
    if (!Terminal::usable(context.variable("TERM"), &why))
        return context.fail("cannot show the live table: " + why, kExitUsage);
    const auto sort = parse_sort(context.options().sort).value_or(TopSort::State);
    const auto known = context.units();
    if (!known && nobody_there(known.error())) return context.unreachable(known.error());
    if (known) {
        const auto chosen = select_units(*known, context.options().names);
        if (!chosen) return context.fail(chosen.error().message, kExitNoSuchUnit);
    }
    return Top(context, sort).run();
}

} // namespace keepwell::cli
