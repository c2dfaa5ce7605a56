"""Mail in and out: Maildir and mbox, read, written and planned; and the repositories of backups.

Nothing here knows a database, a blob store or a service, so all of it also runs on a client, beside a
server that is somewhere else.

    importing  one run of an import: what to send, in which order, and what became of it
    exporting  one run of an export
    source     what an import reads: messages, and what stands beside them; telling: of both
    maildir    Maildirs, read and written
    mbox       mboxes, likewise
    packed     what is read packed: files, and single mails
    names      what a folder is called there and here (Maildir++, nested, modified UTF-7)
    payload    the bytes of one message, in memory or in a file
    dates      when a message was received
    opening    opens what is there, and nothing that waits
    looks      what a path looks like when it is something else
    room       what of it an account has room for
    cache      the hashes of files read before
    repository the format of backups  plain_reader    reads one, and shares no code with what writes it
"""
