"""A plugin as one file that can be carried, checked and signed: pure functions on files, without a site.

limits.py        how much an archive may be
archive.py       an archive from front to end, in bounded memory
ustar.py         headers of its files
paths.py         their names
documents.py     the JSON in it: strict, and canonical where it is signed
listing.py       `manifest.json`
keys.py          Ed25519 keys and their files
signatures.py    `signatures/developer.json` and `signatures/marketplace.json`
signed.py        what roots sign: certificates.py, revocations.py, licences.py
reading.py       a `Package` from an archive; unpacking it
written.py       its files where they were unpacked, compared with the listing
vouching.py      whether a trusted root stands for a package
sources.py       the files of a plugin's directory
packing.py       an archive from a directory; signatures put into one
key_files.py     files of keys, made and listed
checking.py      check by check what can be said of a package
linting.py       what somebody should look at in a plugin: python_source.py, content.py
templates/       what a new plugin begins with
"""

from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.listing import FileFacts
from mairust_core.plugins.package.reading import Package, read_package, unpack, unpack_listed
from mairust_core.plugins.package.signatures import Signature, verify

__all__ = [
    "ArchiveLimits",
    "FileFacts",
    "Package",
    "Signature",
    "read_package",
    "unpack",
    "unpack_listed",
    "verify",
]
