// StatusCache: the bytes of the status document, made only when they would say something else.
//
// get() hands the same bytes to everybody. They are made anew at the next get() after changed() (a
// state, a verdict, an order), at most once a second for other news (figures, results that change
// no verdict) and else when they are older than the interval, so that generated_at stays a sign of
// life. make() is for who writes the file: always new bytes, which get() then hands out as well.
// Bytes that nobody asked for within a minute are not kept. One thread; nothing throws but what
// `render` throws.
#pragma once

#include "units/ports/clock.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace keepwell {

std::string etag_of(std::string_view body); // a strong one, with its quotes

struct StatusBytes {
    std::shared_ptr<const std::string> body;
    std::string etag; // strong, with its quotes; other bytes have another
};

class StatusCache {
  public:
    struct Source {
        std::function<std::string()> render;
        std::function<bool()> has_news; // since the last render
    };
    StatusCache(const Clock& clock, Source source, Duration interval)
        : clock_(clock), source_(std::move(source)), interval_(interval) {}

    const StatusBytes& get();
    std::shared_ptr<const std::string> make();
    void changed() { changed_ = true; }
    void set_interval(Duration interval) { interval_ = interval; }

  private:
    bool is_old() const;
    void render();

    const Clock& clock_;
    Source source_;
    Duration interval_;
    StatusBytes bytes_;
    Instant made_at_{};
    Instant asked_at_ = Instant::min();
    bool changed_ = true;
};

} // namespace keepwell
