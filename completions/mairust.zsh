#compdef mairust
# zsh completion for mairust. Made by `mairust completion zsh`.

_mairust() {
    local at="mairust" previous="" i
    local -A words_of
    words_of=(
        "mairust" "init serve domain account alias mailbox message token job gc config db deliver completion --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust init" "--database --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust serve" "--smtp --lmtp --http --workers --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain" "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain add" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account" "add list show edit passwd enable disable remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account add" "--password-stdin --admin --quota --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account list" "--domain --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account edit" "--quota --admin --no-admin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account passwd" "--password-stdin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account enable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account disable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias" "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias add" "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust alias remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox" "list create rename delete --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox list" "--account --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox create" "--account --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox rename" "--account --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust mailbox delete" "--account --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message" "append list show export tag flag move delete undelete release --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message append" "--account --mailbox --flag --tag --date --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message list" "--account --mailbox --tag --flag --unflag --unseen --since --before --deleted --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message show" "--text --html --headers --attachment --part --raw --original --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message export" "--output --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message tag" "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message flag" "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message move" "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message delete" "--now --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message undelete" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message release" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token" "create list revoke --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token create" "--name --scope --domain --account --expires --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust token revoke" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job" "list show retry discard release --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job list" "--state --kind --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job retry" "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job discard" "--all --kind --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job release" "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
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
            --account|--add|--attachment|--before|--ca-file|--config|--cursor|--data-dir|--database|--date|--domain|--expires|--flag|--from|--http|--kind|--lang|--limit|--lmtp|--mailbox|--name|--output|--part|--quota|--remove|--scope|--server|--since|--smtp|--state|--tag|--to|--token-file|--unflag|--workers) ((i++)) ;;
            -*) ;;
            *) [[ -n "${words_of[$at $previous]}" ]] && at="$at $previous" ;;
        esac
    done
    previous="${words[CURRENT - 1]}"
    case "$previous" in
        --ca-file|--config|--data-dir|--output|--token-file) _files; return ;;
        --lang) compadd en ja; return ;;
        --account|--add|--attachment|--before|--ca-file|--config|--cursor|--data-dir|--database|--date|--domain|--expires|--flag|--from|--http|--kind|--lang|--limit|--lmtp|--mailbox|--name|--output|--part|--quota|--remove|--scope|--server|--since|--smtp|--state|--tag|--to|--token-file|--unflag|--workers) return ;;
    esac
    compadd -- ${=words_of[$at]} || _files
}

if [[ "$funcstack[1]" == "_mairust" ]]; then
    _mairust "$@"
else
    compdef _mairust mairust
fi
