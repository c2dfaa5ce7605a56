"""Completion scripts that hold all words themselves: no TAB starts a Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mairust_cli.outline import Outline, Parameter

_BASH = """\
# bash completion for mairust. Made by `mairust completion bash`.

_mairust_words() {{
    case "$1" in
{words}
    esac
}}

_mairust() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="" at="mairust" i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        previous="${{COMP_WORDS[i]}}"
        case "$previous" in
            {with_value}) ((i++)) ;;
            -*) ;;
            *) [[ -n "$(_mairust_words "$at $previous")" ]] && at="$at $previous" ;;
        esac
    done
    previous="${{COMP_WORDS[COMP_CWORD - 1]}}"
    case "$previous" in
        {files}) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --lang) COMPREPLY=($(compgen -W "en ja" -- "$current")); return ;;
        {with_value}) return ;;
    esac
    COMPREPLY=($(compgen -W "$(_mairust_words "$at")" -- "$current"))
}}

complete -o bashdefault -o default -F _mairust mairust
"""

_ZSH = """\
#compdef mairust
# zsh completion for mairust. Made by `mairust completion zsh`.

_mairust() {{
    local at="mairust" previous="" i
    local -A words_of
    words_of=(
{words}
    )
    for ((i = 2; i < CURRENT; i++)); do
        previous="${{words[i]}}"
        case "$previous" in
            {with_value}) ((i++)) ;;
            -*) ;;
            *) [[ -n "${{words_of[$at $previous]}}" ]] && at="$at $previous" ;;
        esac
    done
    previous="${{words[CURRENT - 1]}}"
    case "$previous" in
        {files}) _files; return ;;
        --lang) compadd en ja; return ;;
        {with_value}) return ;;
    esac
    compadd -- ${{=words_of[$at]}} || _files
}}

if [[ "$funcstack[1]" == "_mairust" ]]; then
    _mairust "$@"
else
    compdef _mairust mairust
fi
"""

_FISH = """\
# fish completion for mairust. Made by `mairust completion fish`.

function __mairust_at --description 'The words of the command line that are no options'
    set -l at mairust
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case {with_value}
                set skip 1
            case '-*'
            case '*'
                set -a at $word
        end
    end
    string join ' ' -- $at
end

complete -c mairust -f
{lines}
"""


def bash(top: Outline) -> str:
    """The script for bash."""
    words = "\n".join(f'        "{one.name}") echo "{" ".join(_words(one))}" ;;' for one in top.walk())
    return _BASH.format(words=words, with_value="|".join(_valued(top)), files="|".join(_files(top)))


def zsh(top: Outline) -> str:
    """The script for zsh."""
    words = "\n".join(f'        "{one.name}" "{" ".join(_words(one))}"' for one in top.walk())
    return _ZSH.format(words=words, with_value="|".join(_valued(top)), files="|".join(_files(top)))


def fish(top: Outline) -> str:
    """The script for fish."""
    lines = [_fish_option("", option) for option in top.global_options]
    for one in top.walk():
        for child in one.children:
            words = f"-a {child.path[-1]} -d {_fish_quoted(child.text.summary)}"
            lines.append(f"complete -c mairust -n 'string match -q -- \"{one.name}\" (__mairust_at)' {words}")
        below = f" -n 'string match -q -- \"{one.name}*\" (__mairust_at)'"
        lines += [_fish_option(below, option) for option in one.options]
    return _FISH.format(with_value=" ".join(_valued(top)), lines="\n".join(lines))


def _fish_option(condition: str, option: Parameter) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
    value = (" -r -F" if option.takes_file else " -x") if option.metavar else ""
    return f"complete -c mairust{condition} {names}{value} -d {_fish_quoted(option.text)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _words(one: Outline) -> list[str]:
    """What may follow: commands, or the options of a command with the global ones."""
    if one.children:
        return [*(child.path[-1] for child in one.children), *_names(one.global_options)]
    return _names((*one.options, *one.global_options))


def _names(options: Iterable[Parameter]) -> list[str]:
    return [name for option in options for name in option.names]


def _valued(top: Outline) -> list[str]:
    return sorted(set(_names(option for option in _all_options(top) if option.metavar)))


def _files(top: Outline) -> list[str]:
    return sorted(set(_names(option for option in _all_options(top) if option.takes_file)))


def _all_options(top: Outline) -> list[Parameter]:
    return [option for one in top.walk() for option in (*one.options, *one.global_options)]


SHELLS: dict[str, Callable[[Outline], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
