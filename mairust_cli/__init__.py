"""Arguments in, operations called, results rendered: no business rule, no SQL, no HTTP.

entry.py        the console script: what must be answered before anything is imported
main.py         one run: arguments to exit code; the one place that turns errors into exits
tree.py         the commands, each loaded only when it is called
options.py      the global options, accepted before and after the command
session.py      what a command works with: settings, operations here or on a server, output
output.py       tables, plain lines, JSON, from the same value (columns.py, text.py)
commands/       one file per noun
generate.py     manual pages, completions and the reference, from the same commands
"""
