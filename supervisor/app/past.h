// Past: what was. Collects minutes, events and changes from the fleet, hands them to the history's
// thread, and brings back what a supervisor has to know of the time before it: the steps of the
// status document, uptime ratios, and answers to the API.
//
// Never waits for the disk. Without a history (safe mode, enabled = false) it still makes the
// document's steps. A supervisor that is killed loses the minute that runs and what happened in the
// last two seconds of events; the next one fills those in from the timeline's own file. One thread;
// the fleet must outlive it.
#pragma once

#include "supervisor/app/fleet.h"
#include "supervisor/history/history_store.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace keepwell {

class Past final : public PastListener {
  public:
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        Fleet& fleet;
        std::function<void()> changed;  // the document has news
        std::function<void()> answered; // a question of the API
        std::function<void(const std::string&)> warn;
    };
    explicit Past(Ports);
    ~Past() override;

    // Once; from then on it writes. An empty path: nothing is kept.
    void start(const std::string& path, const HistorySpec&);
    void apply(const HistorySpec&); // a reload
    void close();                   // the minute so far and what is waiting get out

    using Answer = std::function<void(Result<std::string>)>;
    void history(UnitIndex, history::Range, Answer);
    void events(WallTime since, std::uint64_t sequence, std::size_t limit, Answer);

    // PastListener
    void on_line(const TimelineLine&) override;
    void on_change(history::ChangeRow) override;

  private:
    struct Since { // what came since the file was asked: for its first window, for the others
        history::UpDown in_short, in_long;
        Since& operator+=(const Since&);
    };
    struct Sums { // of up and down: as the file had them, and what came since
        history::Uptime stored;
        Since since;
    };
    bool on() const { return store_ != nullptr && spec_.enabled; }
    void open();
    void read_past();
    void restore(const history::Steps&, WallTime last_event);
    void tick();
    void minute_over();
    void write_minutes(bool trim);
    void arm_edge();
    void soon();
    void flush();
    void ask_uptimes(bool hour_only);
    void take_uptimes(const history::Uptimes&, bool hour_only);
    void count(const history::MinuteRow&);
    void show_uptimes();
    void refuse(const Answer&) const;
    template <class T>
    void ask(std::function<Result<T>(history::HistoryFile&)>,
             std::function<void(const Result<T>&)>);

    Ports p_;
    std::string path_; // empty = in safe mode
    HistorySpec spec_;
    std::unique_ptr<history::HistoryStore> store_;
    WallTime unread_before_; // what the file has of then is still to be shown; 0 = it is
    history::Batch pending_; // events and changes
    uv::Timer tick_, edge_, soon_;
    bool waiting_ = false; // for soon_
    bool ticked_ = false, counting_ = false;
    int minutes_ = 0; // since the start
    std::int64_t counted_hour_ = 0;
    std::unordered_map<std::string, Sums> sums_; // by key
};

} // namespace keepwell
