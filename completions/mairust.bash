# bash completion for mairust. Made by `mairust completion bash`.

_mairust_words() {
    case "$1" in
        "mairust") echo "init serve domain account alias mailbox message import export plugin key trust hook job trace search index token backup restore status doctor audit secrets gc config db deliver completion --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust init") echo "--database --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust serve") echo "--smtp --lmtp --http --workers --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain") echo "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain add") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust domain remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account") echo "add list show edit passwd enable disable remove accesses --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account add") echo "--password-stdin --admin --quota --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account list") echo "--domain --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account edit") echo "--quota --admin --no-admin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account passwd") echo "--password-stdin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account enable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account disable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust account accesses") echo "--since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
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
        "mairust message") echo "append list show export tag flag move delete undelete release accesses --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message append") echo "--account --mailbox --flag --tag --date --hooks --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message list") echo "--account --query --mailbox --tag --flag --unflag --unseen --since --before --deleted --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message show") echo "--text --html --headers --attachment --part --raw --original --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message export") echo "--output --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message tag") echo "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message flag") echo "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message move") echo "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message delete") echo "--now --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message undelete") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message release") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust message accesses") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust import") echo "maildir mbox --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust import maildir") echo "--account --mailbox --accounts-from --map --prefix --dates --again --verify --dry-run --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust import mbox") echo "--account --mailbox --dialect --accounts-from --map --prefix --dates --again --verify --dry-run --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust export") echo "maildir mbox --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust export maildir") echo "--account --mailbox --layout --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust export mbox") echo "--account --mailbox --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin") echo "new lint pack sign verify install upgrade rollback link module approve list show enable disable remove rotate-secret logs accesses token --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin new") echo "--id --template --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin lint") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin pack") echo "--output --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin sign") echo "--as --key --certificate --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin verify") echo "--trust --revocations --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin install") echo "--allow-downgrade --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin upgrade") echo "--allow-downgrade --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin rollback") echo "--to --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin link") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin module") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin approve") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin enable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin disable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin remove") echo "--purge --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin rotate-secret") echo "--grace --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin logs") echo "-f --follow --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin accesses") echo "--since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin token") echo "create list reissue revoke --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin token create") echo "--scope --delivery --expires --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin token list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin token reissue") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust plugin token revoke") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust key") echo "generate list certify revoke license --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust key generate") echo "--passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust key list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust key certify") echo "--by --not-after --not-before --output --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust key revoke") echo "--by --key --package --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust key license") echo "--by --holder --not-after --output --into --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trust") echo "add list remove import-revocations confirm-revocations --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trust add") echo "--name --although-revoked --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trust list") echo "--revoked --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trust remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trust import-revocations") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trust confirm-revocations") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook") echo "add list show edit enable disable remove reset log test replay --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook add") echo "--type --plugin --priority --timeout-ms --on-timeout --on-error --filter --mode --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook list") echo "--plugin --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook edit") echo "--priority --timeout-ms --on-timeout --on-error --filter --no-filter --mode --unset --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook enable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook disable") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook remove") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook reset") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook log") echo "--outcome --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook test") echo "--message --type --from --to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust hook replay") echo "--account --since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job") echo "list show retry discard release --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job list") echo "--state --kind --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job retry") echo "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job discard") echo "--all --kind --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust job release") echo "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust trace") echo "--recipient --sender --refused --since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust search") echo "--account --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust index") echo "status rebuild drop --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust index status") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust index rebuild") echo "--account --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust index drop") echo "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
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
        "mairust status") echo "--watch --every --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust doctor") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust audit") echo "list --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust audit list") echo "--actor --operation --subject --since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust secrets") echo "list status rotate-master --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust secrets list") echo "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust secrets status") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust secrets rotate-master") echo "--prepare --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust gc") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config") echo "show export check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config show") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config export") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust config check") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust db") echo "upgrade check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust db upgrade") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust db check") echo "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust deliver") echo "--from --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
        "mairust completion") echo "bash fish zsh --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help" ;;
    esac
}

_mairust_values() {
    case "$1" in
        "mairust domain show") echo domains ;;
        "mairust domain remove") echo domains ;;
        "mairust account show") echo accounts ;;
        "mairust account edit") echo accounts ;;
        "mairust account passwd") echo accounts ;;
        "mairust account enable") echo accounts ;;
        "mairust account disable") echo accounts ;;
        "mairust account remove") echo accounts ;;
        "mairust account accesses") echo accounts ;;
        "mairust alias show") echo aliases ;;
        "mairust alias remove") echo aliases ;;
        "mairust mailbox rename") echo mailboxes ;;
        "mairust mailbox delete") echo mailboxes ;;
        "mairust message append") echo files ;;
        "mairust message show") echo messages ;;
        "mairust message export") echo messages ;;
        "mairust message tag") echo messages ;;
        "mairust message flag") echo messages ;;
        "mairust message move") echo messages ;;
        "mairust message delete") echo messages ;;
        "mairust message undelete") echo deleted ;;
        "mairust message release") echo messages ;;
        "mairust message accesses") echo messages ;;
        "mairust import maildir") echo files ;;
        "mairust import mbox") echo files ;;
        "mairust export maildir") echo files ;;
        "mairust export mbox") echo files ;;
        "mairust plugin new") echo files ;;
        "mairust plugin lint") echo files ;;
        "mairust plugin pack") echo files ;;
        "mairust plugin sign") echo files ;;
        "mairust plugin verify") echo files ;;
        "mairust plugin install") echo files ;;
        "mairust plugin upgrade") echo files ;;
        "mairust plugin rollback") echo plugins ;;
        "mairust plugin link") echo files ;;
        "mairust plugin approve") echo plugins ;;
        "mairust plugin show") echo plugins ;;
        "mairust plugin enable") echo plugins ;;
        "mairust plugin disable") echo plugins ;;
        "mairust plugin remove") echo plugins ;;
        "mairust plugin rotate-secret") echo plugins ;;
        "mairust plugin logs") echo plugins ;;
        "mairust plugin accesses") echo plugins ;;
        "mairust plugin token reissue") echo plugins ;;
        "mairust plugin token revoke") echo plugins ;;
        "mairust key generate") echo files ;;
        "mairust key list") echo files ;;
        "mairust key certify") echo files ;;
        "mairust key revoke") echo files ;;
        "mairust trust import-revocations") echo files ;;
        "mairust hook show") echo hooks ;;
        "mairust hook edit") echo hooks ;;
        "mairust hook enable") echo hooks ;;
        "mairust hook disable") echo hooks ;;
        "mairust hook remove") echo hooks ;;
        "mairust hook reset") echo hooks ;;
        "mairust hook log") echo hooks ;;
        "mairust hook test") echo hooks ;;
        "mairust hook replay") echo hooks ;;
        "mairust job show") echo jobs ;;
        "mairust job retry") echo jobs ;;
        "mairust job discard") echo jobs ;;
        "mairust job release") echo jobs ;;
        "mairust trace") echo traces ;;
        "mairust token revoke") echo tokens ;;
        "mairust backup create") echo files ;;
        "mairust backup list") echo files ;;
        "mairust backup verify") echo files ;;
        "mairust backup prune") echo files ;;
        "mairust restore") echo files ;;
        "mairust deliver") echo accounts ;;
    esac
}

_mairust_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_mairust() {
    local -a typed=("${COMP_WORDS[@]:0:COMP_CWORD+1}")
    if [[ -n "$COMP_LINE" ]]; then
        # readline splits addresses at @ and ids at nothing: take what stands between blanks
        local line="${COMP_LINE:0:COMP_POINT}"
        read -ra typed <<< "$line"
        [[ "$line" == *[[:space:]] ]] && typed+=("")
    fi
    local count=$((${#typed[@]} - 1)) at="mairust" kind="" i
    local current="${typed[count]}" previous="${typed[count - 1]}" word
    COMPREPLY=()
    for ((i = 1; i < count; i++)); do
        word="${typed[i]}"
        case "$word" in
            --account|--accounts-from|--actor|--add|--as|--attachment|--before|--by|--ca-file|--certificate|--config|--cursor|--data-dir|--database|--date|--dates|--delivery|--dialect|--domain|--every|--expires|--filter|--flag|--from|--grace|--holder|--http|--id|--identity|--into|--keep-daily|--keep-last|--keep-weekly|--key|--kind|--lang|--layout|--limit|--lmtp|--mailbox|--map|--master-key|--message|--mode|--name|--not-after|--not-before|--on-error|--on-timeout|--operation|--outcome|--output|--package|--part|--passphrase-file|--plugin|--prefix|--priority|--query|--quota|--recipient|--remove|--report|--revocations|--scope|--sender|--server|--since|--smtp|--snapshot|--state|--subject|--subset|--tag|--template|--timeout-ms|--to|--token-file|--trust|--type|--unflag|--unset|--workers) ((i++)) ;;
            -*) ;;
            *) [[ -n "$(_mairust_words "$at $word")" ]] && at="$at $word" ;;
        esac
    done
    case "$at $previous" in
        "mairust import maildir --dates") COMPREPLY=($(compgen -W "source received" -- "$current")); return ;;
        "mairust import mbox --dialect") COMPREPLY=($(compgen -W "mboxo mboxrd mboxcl mboxcl2" -- "$current")); return ;;
        "mairust import mbox --dates") COMPREPLY=($(compgen -W "source received" -- "$current")); return ;;
        "mairust export maildir --layout") COMPREPLY=($(compgen -W "maildir++ nested" -- "$current")); return ;;
        "mairust plugin sign --as") COMPREPLY=($(compgen -W "developer marketplace" -- "$current")); return ;;
        "mairust plugin token create --scope") COMPREPLY=($(compgen -W "callback metrics" -- "$current")); return ;;
        "mairust hook add --type") COMPREPLY=($(compgen -W "pre_receive pre_delivery post_receive" -- "$current")); return ;;
        "mairust hook add --on-timeout") COMPREPLY=($(compgen -W "allow reject tempfail" -- "$current")); return ;;
        "mairust hook add --on-error") COMPREPLY=($(compgen -W "allow reject tempfail" -- "$current")); return ;;
        "mairust hook add --mode") COMPREPLY=($(compgen -W "enforce shadow" -- "$current")); return ;;
        "mairust hook edit --on-timeout") COMPREPLY=($(compgen -W "allow reject tempfail" -- "$current")); return ;;
        "mairust hook edit --on-error") COMPREPLY=($(compgen -W "allow reject tempfail" -- "$current")); return ;;
        "mairust hook edit --mode") COMPREPLY=($(compgen -W "enforce shadow" -- "$current")); return ;;
        "mairust hook log --outcome") COMPREPLY=($(compgen -W "answered failed timed_out skipped" -- "$current")); return ;;
        "mairust hook test --type") COMPREPLY=($(compgen -W "pre_receive pre_delivery post_receive" -- "$current")); return ;;
        "mairust job list --state") COMPREPLY=($(compgen -W "ready running done dead held" -- "$current")); return ;;
        "mairust token create --scope") COMPREPLY=($(compgen -W "read write send admin" -- "$current")); return ;;
        *" --lang") COMPREPLY=($(compgen -W "en ja" -- "$current")); return ;;
        *" message move --to") kind=mailboxes ;;
        *" message tag --add") kind=tags ;;
        *" message tag --remove") kind=tags ;;
        *" backup create --recipient") kind= ;;
        *" --account") kind=accounts ;;
        *" --to") kind=accounts ;;
        *" --domain") kind=domains ;;
        *" --mailbox") kind=mailboxes ;;
        *" --recipient") kind=accounts ;;
        *" --tag") kind=tags ;;
        *" --plugin") kind=plugins ;;
    esac
    [[ -n "$kind" ]] || case "$previous" in
        --by|--ca-file|--certificate|--config|--data-dir|--identity|--into|--key|--master-key|--message|--output|--passphrase-file|--report|--revocations|--token-file|--trust) _mairust_files "$current"; return ;;
        --account|--accounts-from|--actor|--add|--as|--attachment|--before|--by|--ca-file|--certificate|--config|--cursor|--data-dir|--database|--date|--dates|--delivery|--dialect|--domain|--every|--expires|--filter|--flag|--from|--grace|--holder|--http|--id|--identity|--into|--keep-daily|--keep-last|--keep-weekly|--key|--kind|--lang|--layout|--limit|--lmtp|--mailbox|--map|--master-key|--message|--mode|--name|--not-after|--not-before|--on-error|--on-timeout|--operation|--outcome|--output|--package|--part|--passphrase-file|--plugin|--prefix|--priority|--query|--quota|--recipient|--remove|--report|--revocations|--scope|--sender|--server|--since|--smtp|--snapshot|--state|--subject|--subset|--tag|--template|--timeout-ms|--to|--token-file|--trust|--type|--unflag|--unset|--workers) return ;;
    esac
    if [[ -z "$kind" && "$current" != -* ]]; then
        kind="$(_mairust_values "$at")"
    fi
    if [[ "$kind" == files ]]; then
        _mairust_files "$current"
        return
    fi
    if [[ -n "$kind" ]]; then
        local tool="${typed[0]}"
        mapfile -t COMPREPLY < <("$tool" --complete "$kind" "$current" "${typed[@]:1:count-1}" 2>/dev/null)
        if [[ "$current" == *[@:]* && "$COMP_WORDBREAKS" == *[@:]* ]]; then
            COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*[@:]}"}"}")
        fi
        return
    fi
    COMPREPLY=($(compgen -W "$(_mairust_words "$at")" -- "$current"))
}

complete -o bashdefault -o default -F _mairust mairust
