// The Control that the API talks to: looks names up, begins actions, gives documents. Each change
// leaves one audit line in the timeline: who, what, on which units.
#pragma once

#include "supervisor/api/control.h"
#include "supervisor/app/feed_service.h"
#include "supervisor/app/fleet.h"
#include "supervisor/app/past.h"
#include "supervisor/feeds/log_reads.h"

#include <functional>
#include <memory>
#include <string>

namespace keepwell {

class ControlImpl final : public Control {
  public:
    struct Ports {
        Fleet& fleet;
        const Clock& clock;
        std::function<SupervisorSnapshot()> supervisor;
        std::function<std::string()> runtime_json;
        // Loads the files anew; dry = only say what would happen.
        using Reloaded = std::function<void(Result<std::string>)>;
        std::function<void(bool dry, const std::string& who, Reloaded done)> reload;
        std::function<Status(const std::string& who, bool leave)> shutdown;
        std::function<Status(const std::string& who)> upgrade;
        ProcessHost& processes;
        StatusCache& status;
        std::function<std::string()> metrics_text;
        Past& past;
        Offload& offload; // reads logs
        std::function<FeedService&()> feeds;
        std::function<void()> read; // what a request waits for may be there
    };
    explicit ControlImpl(Ports ports) : p_(std::move(ports)), log_reads_(p_.offload) {}

    const StatusBytes& status() override { return p_.status.get(); }
    std::optional<UnitSnapshot> unit(const std::string& name) override;
    std::vector<UnitSnapshot> units() override;
    SupervisorSnapshot supervisor() override { return p_.supervisor(); }
    Result<std::vector<std::string>> resolve(const std::vector<std::string>& names) override;
    Result<std::string> why_json(const std::string& name) override;
    Result<std::string> explain_json(const std::string& name) override;
    std::string events_json(std::uint64_t since, std::size_t limit) override;
    std::string runtime_json() override { return p_.runtime_json(); }
    Result<std::string> act(const ActionRequest&) override;
    std::optional<ActionView> action(const std::string& id) override;
    Result<std::string> enable_check(const std::string& name, const std::string& check,
                                     bool enabled, const Peer&) override;
    Status beat(const std::string& name) override;
    void reload_config(bool dry_run, const Peer&,
                       std::function<void(Result<std::string>)> done) override;
    Status shutdown(const Peer&, bool leave) override;
    Status upgrade(const Peer&) override;
    std::string metrics_text() override { return p_.metrics_text(); }
    void history(const std::string& name, history::Range, Answer) override;
    void past_events(WallTime since, std::uint64_t sequence, std::size_t limit, Answer) override;
    Result<feeds::LogPlaces> log_places(const std::string& type) override;
    void read_logs(std::shared_ptr<const feeds::LogPlaces>, feeds::LogQuestion,
                   LogsRead done) override;
    Result<std::shared_ptr<feeds::Stream>> follow_logs(feeds::FollowQuestion question,
                                                       const std::string& address) override {
        return p_.feeds().follow_logs(std::move(question), address);
    }
    Result<std::shared_ptr<feeds::Stream>> follow_events(const std::string& address) override {
        return p_.feeds().follow_events(address);
    }

  private:
    Result<UnitIndex> one(const std::string& name) const;
    void perform(const ActionRequest&, const std::string& id, UnitIndex, const std::string& who);
    void run_reload(const std::string& id, UnitIndex);
    void hold_back(const std::string& id, const std::string& key, const char* verb,
                   const std::string& would); // of a dry run
    void send_signal(const std::string& id, UnitIndex, int signal);

    Ports p_;
    feeds::LogReads log_reads_;
};

} // namespace keepwell
