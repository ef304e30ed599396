// The scripts that shells read. Each only asks `keepwell __complete`.
#include "supervisor/cli/completion.h"

namespace keepwell::cli {

namespace {

constexpr const char* kBash = R"(# bash completion of keepwell. Put this into your ~/.bashrc:
#   source <(keepwell completion bash)
_keepwell() {
    local line quoted program=${1/#\~/$HOME}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o default 2>/dev/null
            return 0
        fi
        printf -v quoted %q "$line"
        COMPREPLY+=("$quoted")
    done < <("$program" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -F _keepwell keepwell
)";

constexpr const char* kZsh = R"(#compdef keepwell
# zsh completion of keepwell. Put this into your ~/.zshrc, behind compinit:
#   source <(keepwell completion zsh)
_keepwell() {
    local -a found
    local program=${(Q)words[1]/#\~/$HOME}
    found=("${(@f)$("$program" __complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ $found[1] == :files ]]; then
        _files
        return
    fi
    [[ -n $found[1] ]] && _describe -V keepwell found
}
if [[ $funcstack[1] == _keepwell ]]; then
    _keepwell "$@"
else
    compdef _keepwell keepwell
fi
)";

constexpr const char* kFish =
    R"(# fish completion of keepwell. Write this into ~/.config/fish/completions/keepwell.fish:
#   keepwell completion fish > ~/.config/fish/completions/keepwell.fish
function __keepwell_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    test (count $typed) -eq 0; and set typed ""
    set -l found ($words[1] __complete fish $words[2..-1] $typed 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path $typed
        return
    end
    printf '%s\n' $found
end
complete -c keepwell -e
complete -c keepwell -f -k -a '(__keepwell_complete)'
)";

} // namespace

const std::vector<std::string>& completion_shells() {
    static const std::vector<std::string> shells = {"bash", "zsh", "fish"};
    return shells;
}

std::string completion_script(std::string_view shell) {
    if (shell == "bash") return kBash;
    if (shell == "zsh") return kZsh;
    return shell == "fish" ? kFish : "";
}

} // namespace keepwell::cli
