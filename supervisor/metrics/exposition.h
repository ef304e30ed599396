// Exposition: writes metrics in Prometheus' text format 0.0.4.
//
// metric() names what follows; its HELP and TYPE are written once, before its first sample, so that
// a metric without samples leaves nothing. All samples of a metric come together: a name is given
// once. Labels are texts that label() has made (or literals of that form) and are joined here.
// Appends to a string that must outlive it; pure.
#pragma once

#include "supervisor/metrics/histogram.h"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::metrics {

enum class Type { Counter, Gauge, Histogram };

// name="value": backslash, quote and line end escaped, what is no UTF-8 replaced.
std::string label(std::string_view name, std::string_view value);

class Exposition {
  public:
    using Labels = std::initializer_list<std::string_view>; // an empty one is left out

    explicit Exposition(std::string& out) : out_(out) {}

    // The texts must live until the last sample of the metric.
    void metric(std::string_view name, Type, std::string_view help);
    void sample(Labels, double);
    void sample(Labels, std::uint64_t);
    void flag(Labels labels, bool value) { sample(labels, std::uint64_t{value ? 1U : 0U}); }
    // One sample for each of `all` (labels: state="running"): 1 for the one at `current`, else 0.
    void states(std::string_view labels, std::span<const std::string_view> all,
                std::size_t current);
    void histogram(Labels, const Histogram&);

  private:
    void head();
    void begin(std::string_view suffix, Labels);
    void number(double);
    void number(std::uint64_t);

    std::string& out_;
    std::string_view name_, help_;
    Type type_ = Type::Gauge;
    bool headed_ = false;
    // Of histograms, since thousands have the same bounds: le="0.5"} and so on.
    std::span<const double> bounds_;
    std::vector<std::string> ends_;
    std::string bucket_;
};

} // namespace keepwell::metrics
