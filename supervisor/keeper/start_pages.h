// What only a start needed goes back to the system. Of a program and its libraries most pages of
// text and constants are touched once, by the loader and by initialisers, and would then count as
// this process's memory for as long as it lives.
#pragma once

namespace keepwell {

// Unmaps the pages of every loaded object that nobody can have changed (its segments without the
// right to write). What is used again comes back from the page cache, one fault for sixteen pages.
// Changes nothing else, fails silently, and may be called at any time by any thread.
void forget_start_pages();

} // namespace keepwell
