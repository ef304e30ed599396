# The files of contrib/panel as bytes of the program: an assembler source takes them in as they are and packed, a table
# names them. What is added to the folder is found by the next build.
enable_language(ASM)
find_program(GZIP gzip REQUIRED)
set(panel ${CMAKE_SOURCE_DIR}/contrib/panel)
set(made ${CMAKE_CURRENT_BINARY_DIR}/panel)
file(GLOB_RECURSE names CONFIGURE_DEPENDS RELATIVE ${panel}
  ${panel}/*.html ${panel}/*.js ${panel}/*.css ${panel}/*.svg ${panel}/*.png ${panel}/*.ico ${panel}/*.woff2)
list(SORT names)

set(bytes "\t.section .rodata\n")
set(symbols "")
set(table "")
set(parts "")
set(number 0)
foreach(name IN LISTS names)
  set(packed ${made}/${number}.gz)
  add_custom_command(OUTPUT ${packed} DEPENDS ${panel}/${name} VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory ${made}
    COMMAND sh -c "\"$0\" -9nc \"$1\" >\"$2\"" ${GZIP} ${panel}/${name} ${packed})
  list(APPEND parts ${panel}/${name} ${packed})
  foreach(pair IN ITEMS "plain|${panel}/${name}" "packed|${packed}")
    string(REPLACE "|" ";" pair "${pair}")
    list(GET pair 0 kind)
    list(GET pair 1 file)
    set(symbol kw_panel_${number}_${kind})
    string(APPEND bytes "\t.globl ${symbol}, ${symbol}_end\n${symbol}:\n\t.incbin \"${file}\"\n${symbol}_end:\n\t.byte 0\n")
    string(APPEND symbols "extern const char ${symbol}[], ${symbol}_end[];\n")
  endforeach()
  string(APPEND table "        {\"${name}\", between(kw_panel_${number}_plain, kw_panel_${number}_plain_end),\n"
    "         between(kw_panel_${number}_packed, kw_panel_${number}_packed_end)},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND bytes "\t.section .note.GNU-stack,\"\",%progbits\n")
file(CONFIGURE OUTPUT ${made}/panel_bytes.s CONTENT "${bytes}" @ONLY)
file(CONFIGURE OUTPUT ${made}/panel_table.cpp @ONLY CONTENT
"#include \"supervisor/api/static_files.h\"

extern \"C\" {
${symbols}}

namespace keepwell::api {

namespace {
[[maybe_unused]] std::string_view between(const char* begin, const char* end) {
    return {begin, static_cast<std::size_t>(end - begin)};
}
} // namespace

std::vector<EmbeddedFile> embedded_panel() {
    return {
${table}    };
}

} // namespace keepwell::api
")
set_source_files_properties(${made}/panel_bytes.s PROPERTIES OBJECT_DEPENDS "${parts}")
target_sources(kw_api PRIVATE ${made}/panel_bytes.s ${made}/panel_table.cpp)
