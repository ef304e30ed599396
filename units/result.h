// Result<T>: a value or an Error, used at every seam instead of exceptions (C++20 has no
// std::expected).
//
// Messages start with what could not be done ("cannot open /x: Permission denied") and, where the
// user can act, end with what to do. Access to the wrong alternative is a programming error and
// terminates.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace keepwell {

struct Error {
    std::string message;
    int code = 0; // an errno value where there is one, else 0
};

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const noexcept { return v_.index() == 0; }
    T& value() & { return std::get<0>(v_); }
    const T& value() const& { return std::get<0>(v_); }
    T&& value() && { return std::get<0>(std::move(v_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const Error& error() const { return std::get<1>(v_); }

  private:
    std::variant<T, Error> v_;
};

struct Done {};
using Status = Result<Done>;

} // namespace keepwell
