// TopModel: what `keepwell top` shows and how keys change it. Pure: no terminal, no network, no
// clock.
//
// lines() gives exactly the rows of the screen, each at most `width` columns wide. A key may leave
// a Wish, which the caller grants and answers with story() or say().
#pragma once

#include "supervisor/cli/json_doc.h"
#include "supervisor/cli/text.h"

#include <optional>
#include <string>
#include <vector>

namespace keepwell::cli {

enum class TopSort { State, Name, Cpu, Memory, Restarts };
std::optional<TopSort> parse_sort(std::string_view); // state name cpu mem restarts

struct Wish {
    enum class Kind { None, Leave, Why, Restart } kind = Kind::None;
    std::string unit;
};

class TopModel {
  public:
    explicit TopModel(TopSort sort, std::vector<std::string> wanted)
        : sort_(sort), wanted_(std::move(wanted)) {}

    void status(Json document, std::int64_t now_ms);
    void silent(std::string why) { silent_ = std::move(why); } // no answer; the last one stays
    void story(std::string text);                              // answers Wish::Why
    void say(std::string text, bool bad = false);              // one line, until the next key
    Wish key(const std::string& name);
    std::vector<std::string> lines(std::int64_t now_ms, const Style&);

  private:
    enum class Mode { Table, Filter, Confirm, Story, Help };
    void order();
    void move(int by);
    Wish table_key(const std::string& name);
    Wish filter_key(const std::string& name);
    Wish story_key(const std::string& name);
    std::string header(std::int64_t now_ms, const Style&) const;
    std::string host_line(const Style&) const;
    std::string footer(const Style&) const;
    void draw_table(std::vector<std::string>& out, std::int64_t now_ms, const Style&, int rows);
    void draw_overview(std::vector<std::string>& out, std::int64_t now_ms, const Style&, int rows);
    void draw_text(std::vector<std::string>& out, const std::string& text, const Style&, int rows);

    TopSort sort_;
    std::vector<std::string> wanted_;
    bool problems_first_ = true;
    Mode mode_ = Mode::Table;
    Json status_;
    std::vector<std::string> keys_; // what is shown, in order
    std::string selected_, filter_, story_, message_, silent_;
    bool bad_ = false;
    std::int64_t heard_ms_ = 0;
    std::size_t scroll_ = 0, page_ = 10;
};

} // namespace keepwell::cli
