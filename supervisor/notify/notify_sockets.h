// NotifySockets: reads what daemons say by sd_notify. One socket for each unit, made by the keeper;
// here each message is taken, its sender proved, its descriptors closed.
//
// Reads at most a few messages of one unit in a turn of the loop, so that no daemon starves the
// others. A message is handed on once; attached descriptors are closed only after that, which is
// the answer to BARRIER=1. One thread; hooks may call take() and drop().
#pragma once

#include "supervisor/notify/notify_message.h"
#include "supervisor/notify/notify_sender.h"
#include "supervisor/uv/loop.h"
#include "units/ports/clock.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

class NotifySockets {
  public:
    struct Hooks {
        std::function<bool(const std::string& key, const NotifySender&)> belongs;
        std::function<void(const std::string& key, Generation, const NotifyMessage&)> on_message;
        // Why messages were refused: the first, then at most one line a minute for each unit.
        std::function<void(const std::string& key, const std::string& why)> on_refused;
    };
    NotifySockets(uv::Loop&, const Clock&, Hooks);

    void take(const std::string& key, Generation, int socket); // owns it; replaces the older one
    void drop(const std::string& key) { entries_.erase(key); }
    void drain(const std::string& key); // everything that waits now, before an exit is told

  private:
    struct Entry {
        std::string key;
        Generation generation = 0;
        UniqueFd socket;
        std::unique_ptr<uv::Poll> poll;
        std::uint64_t refused = 0;
        std::optional<Instant> complained_at;
    };
    struct Datagram {
        std::string_view text;
        NotifySender sender;
        std::vector<UniqueFd> attached;
        bool cut = false;
    };
    void read(const std::shared_ptr<Entry>&, int limit);
    bool receive(Entry&, Datagram&);
    void handle(Entry&, const Datagram&);
    void refuse(Entry&, const std::string& why);

    uv::Loop& loop_;
    const Clock& clock_;
    Hooks hooks_;
    std::vector<char> buffer_;
    std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
};

} // namespace keepwell
