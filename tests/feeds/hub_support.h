// A loop that turns until something is so, and a client of a hub that reads all it may.
#pragma once

#include "supervisor/feeds/stream_client.h"
#include "supervisor/uv/loop.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

namespace keepwell::feeds::test {

struct Turns {
    template <class F>
    bool until(F so) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        uv::Timer tick(loop, [] {});
        tick.start(1, 1);
        while (!so()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            loop.run_once();
        }
        return true;
    }
    uv::Loop loop;
    uv::MonotonicClock clock;
};

struct Listener {
    explicit Listener(std::shared_ptr<StreamClient> c) : client(std::move(c)) {}
    const std::string& read() {
        char block[4096];
        for (;;) {
            const auto n = client->read(block, sizeof block);
            if (!n) ended = true;
            if (!n || *n == 0) return text;
            text.append(block, *n);
        }
    }
    bool has(const std::string& wanted) { return read().find(wanted) != std::string::npos; }
    std::string last_id() const {
        const auto at = text.rfind("\nid: ");
        if (at == std::string::npos) return "";
        return text.substr(at + 5, text.find('\n', at + 5) - at - 5);
    }
    std::size_t count(const std::string& wanted) const {
        std::size_t n = 0;
        for (auto at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1))
            ++n;
        return n;
    }
    std::shared_ptr<StreamClient> client;
    std::string text;
    bool ended = false;
};

} // namespace keepwell::feeds::test
