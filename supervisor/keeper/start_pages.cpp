#include "supervisor/keeper/start_pages.h"

#include <cstddef>
#include <cstdint>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace keepwell {

namespace {

// By the file's own segments and not by the rights of now: what the loader has relocated is
// read-only by now too, and would be lost.
int forget_object(dl_phdr_info* object, std::size_t, void*) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const std::uintptr_t from = (object->dlpi_addr + segment.p_vaddr + page - 1) & ~(page - 1);
        const std::uintptr_t to =
            (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~(page - 1);
        if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
    }
    return 0;
}

} // namespace

void forget_start_pages() { dl_iterate_phdr(forget_object, nullptr); }

} // namespace keepwell
