"""Mail in and out: Maildir and mbox, read, written and planned; and the repositories of backups.

Nothing here knows a database, a blob store or a service, so all of it also runs on a client, beside a
server that is somewhere else.

    names      what a folder is called there and here (Maildir++, nested, modified UTF-7)
    payload    the bytes of one message, in memory or in a file
    dates      when a message was received
    maildir    reading Maildirs       maildir_folder, maildir_messages: what is in them; maildir_files:
               what lies beside the messages: keywords, UIDs
    mboxes     a directory of mboxes  mbox            one of them; dialects: how it is written
    mbox_split parts one into its messages, ahead of what is taken (`ahead`)
    opening    opens what is there, and nothing that waits; unpacking: compressed ones
    packed_mail  single mails that their server packed
    looks      what a path looks like when it is something else
    source     what an import reads: messages, and what stands beside them; telling: of both
    room       what of it an account has room for
    cache      the hashes of files read before
    importing  one run of an import: what to send, in which order, and what became of it
    exporting  one run of an export   maildir_write, mbox_write
    repository the format of backups  plain_reader    reads one, and shares no code with what writes it
"""
