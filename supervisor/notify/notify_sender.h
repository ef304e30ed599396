// Who sent a message: what the kernel says of it, and whether that process belongs to a unit.
//
// With a cgroup of its own the answer is sure, also for a sender that is dead by now where the
// kernel tells (pidfd with a cgroup id, Linux 6.13). Without one it is the best that ancestry, mark
// and user can say; a dead sender is then known by its user alone.
#pragma once

#include "supervisor/keeper/keeper_client.h"
#include "supervisor/keeper/link.h"

#include <string>

namespace keepwell {

struct NotifySender {
    std::int64_t pid = 0;  // at the time of sending, proved by the kernel
    std::int64_t uid = -1; // the same
    UniqueFd pidfd;        // where the kernel gives one
};

bool belongs(const NotifySender&, const std::string& key, const KeeperClient::Tree&);

} // namespace keepwell
