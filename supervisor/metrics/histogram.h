// Histogram: how many observed values are at most each of some fixed bounds, with their sum.
//
// The bounds ascend, are those of the unit that is measured (seconds) and must outlive it; the
// bucket of everything larger is implied. One that never observed anything owns no memory. Counts
// never fall. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace keepwell::metrics {

class Histogram {
  public:
    explicit Histogram(std::span<const double> bounds) : bounds_(bounds) {}

    void observe(double value) {
        if (counts_.empty()) counts_.resize(bounds_.size() + 1);
        const auto it = std::lower_bound(bounds_.begin(), bounds_.end(), value);
        ++counts_[static_cast<std::size_t>(it - bounds_.begin())];
        sum_ += value;
    }
    std::span<const double> bounds() const { return bounds_; }
    // Of the bucket alone, not of those below it too; bounds().size() is the last one's place.
    std::uint64_t in_bucket(std::size_t i) const { return counts_.empty() ? 0 : counts_[i]; }
    double sum() const { return sum_; }

  private:
    std::span<const double> bounds_;
    std::vector<std::uint64_t> counts_;
    double sum_ = 0;
};

} // namespace keepwell::metrics
