# bash completion for mairust. Made by `mairust completion bash`.

_mairust_words() {
    case "$1" in
        "mairust") echo "init serve domain account alias mailbox message token backup restore gc config db deliver completion --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust init") echo "--database --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust serve") echo "--smtp --lmtp --http --workers --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain") echo "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain add") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account") echo "add list show enable disable remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account add") echo "--password-stdin --admin --quota --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account list") echo "--domain --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account enable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account disable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias") echo "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias add") echo "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust alias remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox") echo "list --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust mailbox list") echo "--account --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message") echo "append list show --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message append") echo "--account --mailbox --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message list") echo "--account --mailbox --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message show") echo "--raw --original --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token") echo "create list revoke --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token create") echo "--name --scope --domain --account --expires --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust token revoke") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust backup") echo "create list verify prune --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust backup create") echo "--passphrase-file --recipient --identity --full --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust backup list") echo "--passphrase-file --identity --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust backup verify") echo "--read-data --subset --passphrase-file --identity --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust backup prune") echo "--keep-last --keep-daily --keep-weekly --dry-run --yes --passphrase-file --identity --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust restore") echo "--snapshot --account --mailbox --message --rehearse --master-key --skip-damaged --yes --passphrase-file --identity --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
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
            --account|--ca-file|--config|--cursor|--data-dir|--database|--domain|--expires|--from|--http|--identity|--keep-daily|--keep-last|--keep-weekly|--lang|--limit|--lmtp|--mailbox|--master-key|--message|--name|--passphrase-file|--quota|--recipient|--scope|--server|--smtp|--snapshot|--subset|--to|--token-file|--workers) ((i++)) ;;
            -*) ;;
            *) [[ -n "$(_mairust_words "$at $previous")" ]] && at="$at $previous" ;;
        esac
    done
    previous="${COMP_WORDS[COMP_CWORD - 1]}"
    case "$previous" in
        --ca-file|--config|--data-dir|--identity|--master-key|--passphrase-file|--token-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --lang) COMPREPLY=($(compgen -W "en ja" -- "$current")); return ;;
        --account|--ca-file|--config|--cursor|--data-dir|--database|--domain|--expires|--from|--http|--identity|--keep-daily|--keep-last|--keep-weekly|--lang|--limit|--lmtp|--mailbox|--master-key|--message|--name|--passphrase-file|--quota|--recipient|--scope|--server|--smtp|--snapshot|--subset|--to|--token-file|--workers) return ;;
    esac
    COMPREPLY=($(compgen -W "$(_mairust_words "$at")" -- "$current"))
}

complete -o bashdefault -o default -F _mairust mairust
