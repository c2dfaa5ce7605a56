"""The site's side of backups: one moment of it is offered, handed out, and taken back (rule I3).

    begin      pin all blobs → one database snapshot → rows into a spool, the transaction ended    `offering`
    pack       what a repository lacks: rows from the spool, mail from the blob store              `packing`
    put_back   messages of a snapshot, appended through the committer with new UIDs                `returning`

What is written where, and what a repository looks like, `transfer.repository` knows.
"""
