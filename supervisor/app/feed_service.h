// FeedService: the streams of the running supervisor: log lines and events, for a bounded number of
// clients, in all and from one address. Everything on the loop.
#pragma once

#include "supervisor/api/api_counters.h"
#include "supervisor/app/fleet.h"
#include "supervisor/feeds/event_hub.h"
#include "supervisor/feeds/log_hub.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

class FeedService {
  public:
    struct Limits {
        std::size_t streams = 32;
        std::size_t of_address = 8; // the unix socket has none
    };
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        Fleet& fleet;
        std::function<SupervisorSnapshot()> supervisor;
        std::function<Result<feeds::LogPlaces>(const std::string& type)> places;
        std::function<Limits()> limits;
    };
    explicit FeedService(Ports);

    Result<std::shared_ptr<feeds::Stream>> follow_logs(feeds::FollowQuestion,
                                                       const std::string& address);
    Result<std::shared_ptr<feeds::Stream>> follow_events(const std::string& address);
    void changed() { events_.changed(); } // the document has news
    void end_all();                       // keepwell ends
    // With what streams add to them: how many are open, and what slow clients have lost.
    ApiCounters* counted(ApiCounters&) const;

  private:
    struct Slots;
    Status admit(const std::string& address, std::shared_ptr<void>& token);
    std::string hello();
    std::string status();
    std::vector<std::string> actions();

    Ports p_;
    std::string boot_;
    std::shared_ptr<Slots> slots_;
    std::uint64_t seen_version_ = 0;
    std::string seen_figures_;
    std::unordered_map<std::string, std::string> actions_; // JSON as it was told, by id
    feeds::LogHub logs_;
    feeds::EventHub events_;
};

} // namespace keepwell
