#compdef mairust
# zsh completion for mairust. Made by `mairust completion zsh`.

_mairust() {
    local at="mairust" previous="" i
    local -A words_of
    words_of=(
        "mairust" "init serve domain account alias mailbox message token backup restore gc config db deliver completion --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust init" "--database --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust serve" "--smtp --lmtp --http --workers --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain" "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain add" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account" "add list show enable disable remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account add" "--password-stdin --admin --quota --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account list" "--domain --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account enable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account disable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias" "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias add" "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox" "list --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox list" "--account --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message" "append list show --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message append" "--account --mailbox --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message list" "--account --mailbox --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message show" "--raw --original --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token" "create list revoke --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token create" "--name --scope --domain --account --expires --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token revoke" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust backup" "create list verify prune --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust backup create" "--passphrase-file --recipient --identity --full --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust backup list" "--passphrase-file --identity --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust backup verify" "--read-data --subset --passphrase-file --identity --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust backup prune" "--keep-last --keep-daily --keep-weekly --dry-run --yes --passphrase-file --identity --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust restore" "--snapshot --account --mailbox --message --rehearse --master-key --skip-damaged --yes --passphrase-file --identity --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust gc" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config" "show check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config check" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust db" "upgrade check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust db upgrade" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust db check" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust deliver" "--from --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust completion" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
    )
    for ((i = 2; i < CURRENT; i++)); do
        previous="${words[i]}"
        case "$previous" in
            --account|--ca-file|--config|--cursor|--data-dir|--database|--domain|--expires|--from|--http|--identity|--keep-daily|--keep-last|--keep-weekly|--lang|--limit|--lmtp|--mailbox|--master-key|--message|--name|--passphrase-file|--quota|--recipient|--scope|--server|--smtp|--snapshot|--subset|--to|--token-file|--workers) ((i++)) ;;
            -*) ;;
            *) [[ -n "${words_of[$at $previous]}" ]] && at="$at $previous" ;;
        esac
    done
    previous="${words[CURRENT - 1]}"
    case "$previous" in
        --ca-file|--config|--data-dir|--identity|--master-key|--passphrase-file|--token-file) _files; return ;;
        --lang) compadd en ja; return ;;
        --account|--ca-file|--config|--cursor|--data-dir|--database|--domain|--expires|--from|--http|--identity|--keep-daily|--keep-last|--keep-weekly|--lang|--limit|--lmtp|--mailbox|--master-key|--message|--name|--passphrase-file|--quota|--recipient|--scope|--server|--smtp|--snapshot|--subset|--to|--token-file|--workers) return ;;
    esac
    compadd -- ${=words_of[$at]} || _files
}

if [[ "$funcstack[1]" == "_mairust" ]]; then
    _mairust "$@"
else
    compdef _mairust mairust
fi
