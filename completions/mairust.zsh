#compdef mairust
# zsh completion for mairust. Made by `mairust completion zsh`.

_mairust() {
    local at="mairust" previous="" kind="" i
    local -A words_of values_of
    words_of=(
        "mairust" "init serve domain account alias mailbox message import export plugin key trust hook job trace search index token backup restore status doctor audit secrets gc config db deliver completion --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust init" "--database --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust serve" "--smtp --lmtp --http --workers --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain" "add list show remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain add" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust domain remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account" "add list show edit passwd enable disable remove accesses --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account add" "--password-stdin --admin --quota --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account list" "--domain --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account edit" "--quota --admin --no-admin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account passwd" "--password-stdin --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account enable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account disable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust account accesses" "--since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
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
        "mairust message" "append list show export tag flag move delete undelete release accesses --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message append" "--account --mailbox --flag --tag --date --hooks --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message list" "--account --query --mailbox --tag --flag --unflag --unseen --since --before --deleted --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message show" "--text --html --headers --attachment --part --raw --original --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message export" "--output --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message tag" "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message flag" "--add --remove --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message move" "--to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message delete" "--now --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message undelete" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message release" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust message accesses" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust import" "maildir mbox --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust import maildir" "--account --mailbox --accounts-from --map --prefix --dates --again --verify --dry-run --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust import mbox" "--account --mailbox --dialect --accounts-from --map --prefix --dates --again --verify --dry-run --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust export" "maildir mbox --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust export maildir" "--account --mailbox --layout --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust export mbox" "--account --mailbox --report --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin" "new lint pack sign verify install upgrade rollback link module approve list show enable disable remove rotate-secret logs accesses token --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin new" "--id --template --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin lint" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin pack" "--output --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin sign" "--as --key --certificate --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin verify" "--trust --revocations --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin install" "--allow-downgrade --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin upgrade" "--allow-downgrade --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin rollback" "--to --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin link" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin module" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin approve" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin enable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin disable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin remove" "--purge --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin rotate-secret" "--grace --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin logs" "-f --follow --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin accesses" "--since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin token" "create list reissue revoke --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin token create" "--scope --delivery --expires --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin token list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin token reissue" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust plugin token revoke" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust key" "generate list certify revoke license --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust key generate" "--passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust key list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust key certify" "--by --not-after --not-before --output --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust key revoke" "--by --key --package --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust key license" "--by --holder --not-after --output --into --passphrase-file --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trust" "add list remove import-revocations confirm-revocations --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trust add" "--name --although-revoked --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trust list" "--revoked --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trust remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trust import-revocations" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trust confirm-revocations" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook" "add list show edit enable disable remove reset log test replay --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook add" "--type --plugin --priority --timeout-ms --on-timeout --on-error --filter --mode --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook list" "--plugin --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook edit" "--priority --timeout-ms --on-timeout --on-error --filter --no-filter --mode --unset --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook enable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook disable" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook remove" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook reset" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook log" "--outcome --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook test" "--message --type --from --to --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust hook replay" "--account --since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job" "list show retry discard release --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job list" "--state --kind --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job retry" "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job discard" "--all --kind --yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust job release" "--all --kind --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust trace" "--recipient --sender --refused --since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust search" "--account --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust index" "status rebuild drop --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust index status" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust index rebuild" "--account --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust index drop" "--yes --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
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
        "mairust status" "--watch --every --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust doctor" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust audit" "list --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust audit list" "--actor --operation --subject --since --limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust secrets" "list status rotate-master --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust secrets list" "--limit --cursor --all --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust secrets status" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust secrets rotate-master" "--prepare --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust gc" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config" "show export check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config show" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config export" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust config check" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust db" "upgrade check --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust db upgrade" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust db check" "--config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust deliver" "--from --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
        "mairust completion" "bash fish zsh --config --data-dir --server --token-file --ca-file --json --quiet --verbose --lang --version -h --help"
    )
    values_of=(
        "mairust domain show" domains
        "mairust domain remove" domains
        "mairust account show" accounts
        "mairust account edit" accounts
        "mairust account passwd" accounts
        "mairust account enable" accounts
        "mairust account disable" accounts
        "mairust account remove" accounts
        "mairust account accesses" accounts
        "mairust alias show" aliases
        "mairust alias remove" aliases
        "mairust mailbox rename" mailboxes
        "mairust mailbox delete" mailboxes
        "mairust message append" files
        "mairust message show" messages
        "mairust message export" messages
        "mairust message tag" messages
        "mairust message flag" messages
        "mairust message move" messages
        "mairust message delete" messages
        "mairust message undelete" deleted
        "mairust message release" messages
        "mairust message accesses" messages
        "mairust import maildir" files
        "mairust import mbox" files
        "mairust export maildir" files
        "mairust export mbox" files
        "mairust plugin new" files
        "mairust plugin lint" files
        "mairust plugin pack" files
        "mairust plugin sign" files
        "mairust plugin verify" files
        "mairust plugin install" files
        "mairust plugin upgrade" files
        "mairust plugin rollback" plugins
        "mairust plugin link" files
        "mairust plugin approve" plugins
        "mairust plugin show" plugins
        "mairust plugin enable" plugins
        "mairust plugin disable" plugins
        "mairust plugin remove" plugins
        "mairust plugin rotate-secret" plugins
        "mairust plugin logs" plugins
        "mairust plugin accesses" plugins
        "mairust plugin token reissue" plugins
        "mairust plugin token revoke" plugins
        "mairust key generate" files
        "mairust key list" files
        "mairust key certify" files
        "mairust key revoke" files
        "mairust trust import-revocations" files
        "mairust hook show" hooks
        "mairust hook edit" hooks
        "mairust hook enable" hooks
        "mairust hook disable" hooks
        "mairust hook remove" hooks
        "mairust hook reset" hooks
        "mairust hook log" hooks
        "mairust hook test" hooks
        "mairust hook replay" hooks
        "mairust job show" jobs
        "mairust job retry" jobs
        "mairust job discard" jobs
        "mairust job release" jobs
        "mairust trace" traces
        "mairust token revoke" tokens
        "mairust backup create" files
        "mairust backup list" files
        "mairust backup verify" files
        "mairust backup prune" files
        "mairust restore" files
        "mairust deliver" accounts
    )
    for ((i = 2; i < CURRENT; i++)); do
        previous="${(Q)words[i]}"
        case "$previous" in
            --account|--accounts-from|--actor|--add|--as|--attachment|--before|--by|--ca-file|--certificate|--config|--cursor|--data-dir|--database|--date|--dates|--delivery|--dialect|--domain|--every|--expires|--filter|--flag|--from|--grace|--holder|--http|--id|--identity|--into|--keep-daily|--keep-last|--keep-weekly|--key|--kind|--lang|--layout|--limit|--lmtp|--mailbox|--map|--master-key|--message|--mode|--name|--not-after|--not-before|--on-error|--on-timeout|--operation|--outcome|--output|--package|--part|--passphrase-file|--plugin|--prefix|--priority|--query|--quota|--recipient|--remove|--report|--revocations|--scope|--sender|--server|--since|--smtp|--snapshot|--state|--subject|--subset|--tag|--template|--timeout-ms|--to|--token-file|--trust|--type|--unflag|--unset|--workers) ((i++)) ;;
            -*) ;;
            *) [[ -n "${words_of[$at $previous]}" ]] && at="$at $previous" ;;
        esac
    done
    previous="${(Q)words[CURRENT - 1]}"
    case "$at $previous" in
        "mairust import maildir --dates") compadd -- source received; return ;;
        "mairust import mbox --dialect") compadd -- mboxo mboxrd mboxcl mboxcl2; return ;;
        "mairust import mbox --dates") compadd -- source received; return ;;
        "mairust export maildir --layout") compadd -- maildir++ nested; return ;;
        "mairust plugin sign --as") compadd -- developer marketplace; return ;;
        "mairust plugin token create --scope") compadd -- callback metrics; return ;;
        "mairust hook add --type") compadd -- pre_receive pre_delivery post_receive; return ;;
        "mairust hook add --on-timeout") compadd -- allow reject tempfail; return ;;
        "mairust hook add --on-error") compadd -- allow reject tempfail; return ;;
        "mairust hook add --mode") compadd -- enforce shadow; return ;;
        "mairust hook edit --on-timeout") compadd -- allow reject tempfail; return ;;
        "mairust hook edit --on-error") compadd -- allow reject tempfail; return ;;
        "mairust hook edit --mode") compadd -- enforce shadow; return ;;
        "mairust hook log --outcome") compadd -- answered failed timed_out skipped; return ;;
        "mairust hook test --type") compadd -- pre_receive pre_delivery post_receive; return ;;
        "mairust job list --state") compadd -- ready running done dead held; return ;;
        "mairust token create --scope") compadd -- read write send admin; return ;;
        *" --lang") compadd -- en ja; return ;;
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
        --by|--ca-file|--certificate|--config|--data-dir|--identity|--into|--key|--master-key|--message|--output|--passphrase-file|--report|--revocations|--token-file|--trust) _files; return ;;
        --account|--accounts-from|--actor|--add|--as|--attachment|--before|--by|--ca-file|--certificate|--config|--cursor|--data-dir|--database|--date|--dates|--delivery|--dialect|--domain|--every|--expires|--filter|--flag|--from|--grace|--holder|--http|--id|--identity|--into|--keep-daily|--keep-last|--keep-weekly|--key|--kind|--lang|--layout|--limit|--lmtp|--mailbox|--map|--master-key|--message|--mode|--name|--not-after|--not-before|--on-error|--on-timeout|--operation|--outcome|--output|--package|--part|--passphrase-file|--plugin|--prefix|--priority|--query|--quota|--recipient|--remove|--report|--revocations|--scope|--sender|--server|--since|--smtp|--snapshot|--state|--subject|--subset|--tag|--template|--timeout-ms|--to|--token-file|--trust|--type|--unflag|--unset|--workers) return ;;
    esac
    [[ -z "$kind" && "$PREFIX" != -* ]] && kind="${values_of[$at]}"
    if [[ "$kind" == files ]]; then
        _files
        return
    fi
    if [[ -n "$kind" ]]; then
        local -a found typed
        typed=("${(@Q)words[1,CURRENT-1]}")
        typed=("$typed[1]" --complete "$kind" "${(Q)PREFIX}" "${(@)typed[2,-1]}")
        found=("${(@f)$("${(@)typed}" 2>/dev/null)}")
        [[ -n "$found" ]] && compadd -- $found
        return
    fi
    compadd -- ${=words_of[$at]} || _files
}

if [[ "$funcstack[1]" == "_mairust" ]]; then
    _mairust "$@"
else
    compdef _mairust mairust
fi
