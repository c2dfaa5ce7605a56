# bash completion for mairust. Made by `mairust completion bash`.

_mairust_words() {
    case "$1" in
        "mairust") echo "init serve domain account alias mailbox message token job gc config db deliver completion --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust init") echo "--database --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust serve") echo "--smtp --lmtp --http --workers --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain") echo "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain add") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account") echo "add list show edit passwd enable disable remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account add") echo "--password-stdin --admin --quota --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account list") echo "--domain --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account edit") echo "--quota --admin --no-admin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account passwd") echo "--password-stdin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account enable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account disable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias") echo "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias add") echo "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox") echo "list create rename delete --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox list") echo "--account --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox create") echo "--account --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox rename") echo "--account --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox delete") echo "--account --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message") echo "append list show export tag flag move delete undelete release --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message append") echo "--account --mailbox --flag --tag --date --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message list") echo "--account --mailbox --tag --flag --unflag --unseen --since --before --deleted --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message show") echo "--text --html --headers --attachment --part --raw --original --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message export") echo "--output --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message tag") echo "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message flag") echo "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message move") echo "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message delete") echo "--now --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message undelete") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message release") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token") echo "create list revoke --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token create") echo "--name --scope --domain --account --expires --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token revoke") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job") echo "list show retry discard release --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job list") echo "--state --kind --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job retry") echo "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job discard") echo "--all --kind --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job release") echo "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust gc") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config") echo "show check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config check") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust db") echo "upgrade check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust db upgrade") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust db check") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust deliver") echo "--from --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust completion") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
    esac
}

_mairust() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="" at="mairust" i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        previous="${COMP_WORDS[i]}"
        case "$previous" in
            --account|--add|--attachment|--before|--ca-file|--config|--cursor|--data-dir|--database|--date|--domain|--expires|--flag|--from|--http|--kind|--lang|--limit|--lmtp|--mailbox|--name|--output|--part|--quota|--remove|--scope|--server|--since|--smtp|--state|--tag|--to|--token-file|--unflag|--workers) ((i++)) ;;
            -*) ;;
            *) [[ -n "$(_mairust_words "$at $previous")" ]] && at="$at $previous" ;;
        esac
    done
    previous="${COMP_WORDS[COMP_CWORD - 1]}"
    case "$previous" in
        --ca-file|--config|--data-dir|--output|--token-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --lang) COMPREPLY=($(compgen -W "en ja" -- "$current")); return ;;
        --account|--add|--attachment|--before|--ca-file|--config|--cursor|--data-dir|--database|--date|--domain|--expires|--flag|--from|--http|--kind|--lang|--limit|--lmtp|--mailbox|--name|--output|--part|--quota|--remove|--scope|--server|--since|--smtp|--state|--tag|--to|--token-file|--unflag|--workers) return ;;
    esac
    COMPREPLY=($(compgen -W "$(_mairust_words "$at")" -- "$current"))
}

complete -o bashdefault -o default -F _mairust mairust
