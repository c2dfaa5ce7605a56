"""Who may say something about mail: what plugins declare, what was approved, and by what they are known.

source.py       a `plugin.toml` as text, its faults with file, line and key
manifest.py     a `plugin.toml` as a `Manifest`
identity.py     ids, versions, names of hooks
endpoints.py    where a plugin is and what it may reach, by the words of rule H2
rights.py       what a plugin may, told one by one; what asks for more than was approved
arriving.py     a package that comes in: bounded, read whole, judged
trust.py        whose signatures count, and what they took back
standing.py     who stands for what a plugin is and wants to be
installing.py   packages on their way into a site, and back to the one before
unpacked.py     the files of packages on this node: a cache
toml_text.py    a manifest as a plugin.toml again
registry.py     linked, approved, enabled, disabled, removed
site_key.py     the key by which others know this site
tokens.py       tokens for plugins, and of plugins
credentials.py  what a call of a plugin is signed with
book.py         the hooks that run, as they are now
callbacks.py    what plugins say later
token_uses.py   whether they may use a token now, and that they did
issuing.py      tokens that people issue to them
rotation.py     their shared secrets, replaced
health.py       how they are, asked every minute
package/        a plugin as one file: packed, read, signed, looked at
"""
