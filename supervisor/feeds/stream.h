// Stream: the body of an answer that goes on, pulled by whoever sends it. Everything on the loop.
//
// read() gives what there is now and never waits. When it gave nothing, `wake` is called once there
// may be something again, from the loop and never from inside read(); it must only make a note of
// it. Dropping the Stream ends it.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

namespace keepwell::feeds {

class Stream {
  public:
    virtual ~Stream() = default;
    // At most `size` bytes; 0: nothing at present; nullopt: the end.
    virtual std::optional<std::size_t> read(char* to, std::size_t size) = 0;
    virtual void on_wake(std::function<void()> wake) = 0;
};

} // namespace keepwell::feeds
