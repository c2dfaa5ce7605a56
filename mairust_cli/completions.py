"""Completion scripts: commands and options are in the scripts; names and ids are asked of `candidates.py`.

So a TAB starts a Python only where something of the site is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mairust_cli.outline import Outline, Parameter

_BASH = """\
# bash completion for mairust. Made by `mairust completion bash`.

_mairust_words() {{
    case "$1" in
{words}
    esac
}}

_mairust_values() {{
    case "$1" in
{values}
    esac
}}

_mairust_files() {{
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}}

_mairust() {{
    local -a typed=("${{COMP_WORDS[@]:0:COMP_CWORD+1}}")
    if [[ -n "$COMP_LINE" ]]; then
        # readline splits addresses at @ and ids at nothing: take what stands between blanks
        local line="${{COMP_LINE:0:COMP_POINT}}"
        read -ra typed <<< "$line"
        [[ "$line" == *[[:space:]] ]] && typed+=("")
    fi
    local count=$((${{#typed[@]}} - 1)) at="mairust" kind="" i
    local current="${{typed[count]}}" previous="${{typed[count - 1]}}" word
    COMPREPLY=()
    for ((i = 1; i < count; i++)); do
        word="${{typed[i]}}"
        case "$word" in
            {with_value}) ((i++)) ;;
            -*) ;;
            *) [[ -n "$(_mairust_words "$at $word")" ]] && at="$at $word" ;;
        esac
    done
    case "$at $previous" in
{choices}
{options}
    esac
    [[ -n "$kind" ]] || case "$previous" in
        {files}) _mairust_files "$current"; return ;;
        {with_value}) return ;;
    esac
    if [[ -z "$kind" && "$current" != -* ]]; then
        kind="$(_mairust_values "$at")"
    fi
    if [[ "$kind" == files ]]; then
        _mairust_files "$current"
        return
    fi
    if [[ -n "$kind" ]]; then
        local tool="${{typed[0]}}"
        mapfile -t COMPREPLY < <("$tool" --complete "$kind" "$current" "${{typed[@]:1:count-1}}" 2>/dev/null)
        if [[ "$current" == *[@:]* && "$COMP_WORDBREAKS" == *[@:]* ]]; then
            COMPREPLY=("${{COMPREPLY[@]#"${{current%"${{current##*[@:]}}"}}"}}")
        fi
        return
    fi
    COMPREPLY=($(compgen -W "$(_mairust_words "$at")" -- "$current"))
}}

complete -o bashdefault -o default -F _mairust mairust
"""

_ZSH = """\
#compdef mairust
# zsh completion for mairust. Made by `mairust completion zsh`.

_mairust() {{
    local at="mairust" previous="" kind="" i
    local -A words_of values_of
    words_of=(
{words}
    )
    values_of=(
{values}
    )
    for ((i = 2; i < CURRENT; i++)); do
        previous="${{(Q)words[i]}}"
        case "$previous" in
            {with_value}) ((i++)) ;;
            -*) ;;
            *) [[ -n "${{words_of[$at $previous]}}" ]] && at="$at $previous" ;;
        esac
    done
    previous="${{(Q)words[CURRENT - 1]}}"
    case "$at $previous" in
{choices}
{options}
    esac
    [[ -n "$kind" ]] || case "$previous" in
        {files}) _files; return ;;
        {with_value}) return ;;
    esac
    [[ -z "$kind" && "$PREFIX" != -* ]] && kind="${{values_of[$at]}}"
    if [[ "$kind" == files ]]; then
        _files
        return
    fi
    if [[ -n "$kind" ]]; then
        local -a found typed
        typed=("${{(@Q)words[1,CURRENT-1]}}")
        typed=("$typed[1]" --complete "$kind" "${{(Q)PREFIX}}" "${{(@)typed[2,-1]}}")
        found=("${{(@f)$("${{(@)typed}}" 2>/dev/null)}}")
        [[ -n "$found" ]] && compadd -- $found
        return
    fi
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

function __mairust_values --description 'Names and ids of a kind, from the site'
    set -l typed (commandline -opc)
    command -q $typed[1]; or return
    $typed[1] --complete $argv[1] (commandline -ct) $typed[2..-1] 2>/dev/null
end

complete -c mairust -f
{lines}
"""

_BY_OPTION = {
    "message move --to": "mailboxes", "message tag --add": "tags", "message tag --remove": "tags",
    "backup create --recipient": "",
    "--account": "accounts", "--to": "accounts", "--domain": "domains", "--mailbox": "mailboxes",
    "--recipient": "accounts", "--tag": "tags", "--plugin": "plugins",
}  # fmt: skip
"""By option; where a command means something else by it, by both; empty for what nobody can look up."""
_BY_NOUN = {
    "domain": "domains", "account": "accounts", "alias": "aliases", "token": "tokens", "message": "messages",
    "trace": "traces", "deliver": "accounts", "mailbox": "mailboxes", "job": "jobs",
    "plugin": "plugins", "hook": "hooks",
}  # fmt: skip
_BY_COMMAND = {"message undelete": "deleted"}
_FILES = "files"
"""What an argument names that the shell itself can look up."""
_NEW = frozenset({"add", "append", "create", "link", "list"})
"""Commands whose argument is not there yet."""


def argument_kind(one: Outline) -> str:
    """What the argument of a command names, as `candidates.py` calls it; empty when it is none of these."""
    if not one.path or not one.arguments:
        return ""
    if one.arguments[0].takes_file:
        return _FILES
    if one.path[-1] in _NEW:
        return ""
    return _BY_COMMAND.get(" ".join(one.path)) or _BY_NOUN.get(one.path[0], "")


def bash(top: Outline) -> str:
    """The script for bash."""
    words = "\n".join(f'        "{one.name}") echo "{" ".join(_words(one))}" ;;' for one in top.walk())
    values = "\n".join(f'        "{name}") echo {kind} ;;' for name, kind in _values(top))
    return _BASH.format(
        words=words, values=values, options=_options(), with_value="|".join(_valued(top)),
        files="|".join(_files(top)),
        choices=_choices(top, 'COMPREPLY=($(compgen -W "{words}" -- "$current"))'),
    )  # fmt: skip


def zsh(top: Outline) -> str:
    """The script for zsh."""
    words = "\n".join(f'        "{one.name}" "{" ".join(_words(one))}"' for one in top.walk())
    values = "\n".join(f'        "{name}" {kind}' for name, kind in _values(top))
    return _ZSH.format(
        words=words, values=values, options=_options(), with_value="|".join(_valued(top)),
        files="|".join(_files(top)), choices=_choices(top, "compadd -- {words}"),
    )  # fmt: skip


def fish(top: Outline) -> str:
    """The script for fish."""
    lines = [_fish_option(top, "", option) for option in top.global_options]
    for one in top.walk():
        for child in one.children:
            words = f"-a {child.path[-1]} -d {_fish_quoted(child.text.summary)}"
            lines.append(f"complete -c mairust -n 'string match -q -- \"{one.name}\" (__mairust_at)' {words}")
        below = f" -n 'string match -q -- \"{one.name}*\" (__mairust_at)'"
        lines += [_fish_option(one, below, option) for option in one.options]
        lines += [f"complete -c mairust{below}{given}" for given in _fish_arguments(one)]
    return _FISH.format(with_value=" ".join(_valued(top)), lines="\n".join(lines))


def _values(top: Outline) -> list[tuple[str, str]]:
    """Commands whose argument can be looked up, and what it names."""
    return [(one.name, kind) for one in top.walk() if (kind := argument_kind(one))]


def _options() -> str:
    """The cases of options whose value can be looked up, for bash and zsh."""
    return "\n".join(f'        *" {name}") kind={kind} ;;' for name, kind in _BY_OPTION.items())


def _choices(top: Outline, offer: str) -> str:
    """The cases of options that take one of a few words, for bash and zsh."""
    found = [
        (f'"{one.name} {name}"', option)
        for one in top.walk()
        for option in one.options
        for name in option.names
    ]
    found += [(f'*" {name}"', option) for option in top.global_options for name in option.names]
    return "\n".join(
        f"        {at}) {offer.format(words=' '.join(option.choices))}; return ;;"
        for at, option in found
        if option.choices
    )


def _option_kind(one: Outline, option: Parameter) -> str:
    names = [*(f"{' '.join(one.path)} {name}" for name in option.names), *option.names]
    return next((_BY_OPTION[name] for name in names if name in _BY_OPTION), "")


def _fish_arguments(one: Outline) -> Iterator[str]:
    kind = argument_kind(one)
    if kind == _FILES or _is_default_for_files(one):
        yield " -F"
    elif kind:
        yield f" -a '(__mairust_values {kind})'"
    elif shells := _shells(one):
        yield f" -a '{' '.join(shells)}'"


def _is_default_for_files(one: Outline) -> bool:
    """Whether the command meant when none of the group's is named takes a file."""
    return any(argument_kind(child) == _FILES for child in one.children if child.path[-1] == one.default)


def _shells(one: Outline) -> list[str]:
    return sorted(SHELLS) if [given.metavar for given in one.arguments] == ["SHELL"] else []


def _fish_option(one: Outline, condition: str, option: Parameter) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
    value = (" -r -F" if option.takes_file else " -x") if option.metavar else ""
    value += f" -a '{' '.join(option.choices)}'" if option.choices else ""
    if kind := _option_kind(one, option):
        value += f" -a '(__mairust_values {kind})'"
    return f"complete -c mairust{condition} {names}{value} -d {_fish_quoted(option.text)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _words(one: Outline) -> list[str]:
    """What may follow: commands, or the options of a command with the global ones."""
    if one.children:
        return [*(child.path[-1] for child in one.children), *_names(one.global_options)]
    return [*_shells(one), *_names((*one.options, *one.global_options))]


def _names(options: Iterable[Parameter]) -> list[str]:
    return [name for option in options for name in option.names]


def _valued(top: Outline) -> list[str]:
    return sorted(set(_names(option for option in _all_options(top) if option.metavar)))


def _files(top: Outline) -> list[str]:
    return sorted(set(_names(option for option in _all_options(top) if option.takes_file)))


def _all_options(top: Outline) -> list[Parameter]:
    return [option for one in top.walk() for option in (*one.options, *one.global_options)]


SHELLS: dict[str, Callable[[Outline], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
