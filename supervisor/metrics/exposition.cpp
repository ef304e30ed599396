#include "supervisor/metrics/exposition.h"

#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace keepwell::metrics {

namespace {

std::string_view word_of(Type type) {
    switch (type) {
    case Type::Counter: return "counter";
    case Type::Gauge: return "gauge";
    case Type::Histogram: return "histogram";
    }
    return "untyped";
}

} // namespace

std::string label(std::string_view name, std::string_view value) {
    std::string out(name);
    out += "=\"";
    while (!value.empty()) {
        const std::size_t n = utf8_sequence(value);
        const std::string_view piece = n > 0 ? value.substr(0, n) : kReplacementCharacter;
        value.remove_prefix(std::max<std::size_t>(n, 1));
        if (piece == "\n")
            out += "\\n";
        else if (piece == "\"" || piece == "\\")
            out.append("\\").append(piece);
        else
            out += piece;
    }
    out += '"';
    return out;
}

void Exposition::metric(std::string_view name, Type type, std::string_view help) {
    name_ = name;
    help_ = help;
    type_ = type;
    headed_ = false;
}

void Exposition::head() {
    if (headed_) return;
    headed_ = true;
    out_.append("# HELP ").append(name_).append(" ").append(help_);
    out_.append("\n# TYPE ").append(name_).append(" ").append(word_of(type_)).append("\n");
}

void Exposition::begin(std::string_view suffix, Labels labels) {
    head();
    out_.append(name_).append(suffix);
    char before = '{';
    for (const std::string_view text : labels) {
        if (text.empty()) continue;
        out_ += before;
        out_ += text;
        before = ',';
    }
    if (before == ',') out_ += '}';
    out_ += ' ';
}

void Exposition::number(double value) {
    if (std::isnan(value))
        out_ += "NaN";
    else if (std::isinf(value))
        out_ += value > 0 ? "+Inf" : "-Inf";
    else
        fmt::format_to(std::back_inserter(out_), "{}", value);
    out_ += '\n';
}

void Exposition::number(std::uint64_t value) {
    const fmt::format_int text(value);
    out_.append(text.data(), text.size());
    out_ += '\n';
}

void Exposition::sample(Labels labels, double value) {
    begin("", labels);
    number(value);
}

void Exposition::sample(Labels labels, std::uint64_t value) {
    begin("", labels);
    number(value);
}

void Exposition::states(std::string_view labels, std::span<const std::string_view> all,
                        std::size_t current) {
    for (std::size_t i = 0; i < all.size(); ++i) flag({labels, all[i]}, i == current);
}

void Exposition::histogram(Labels labels, const Histogram& h) {
    head();
    if (h.bounds().data() != bounds_.data() || ends_.empty()) {
        bounds_ = h.bounds();
        ends_.clear();
        for (const double bound : bounds_) ends_.push_back(fmt::format("le=\"{}\"}} ", bound));
        ends_.emplace_back("le=\"+Inf\"} ");
    }
    bucket_.assign(name_).append("_bucket{");
    for (const std::string_view text : labels)
        if (!text.empty()) bucket_.append(text).append(",");
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < ends_.size(); ++i) {
        sum += h.in_bucket(i);
        out_.append(bucket_).append(ends_[i]);
        number(sum);
    }
    begin("_sum", labels);
    number(h.sum());
    begin("_count", labels);
    number(sum);
}

} // namespace keepwell::metrics
