"""Charset labels and what to do when they are wrong or missing (trap T1).

Only codecs listed here are ever used: looking up any label a sender invents would import modules and
fill caches, and some of Python's text codecs (`punycode`, `unicode_escape`) are no charsets of mail.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

_NOT_CHARSETS = frozenset(
    (
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "mbcs",
        "quopri_codec",
        "rot_13",
        "tactis",
        "uu_codec",
        "zlib_codec",
    )
)
# What a label says is often the smaller set of what the sender's system used (as in the WHATWG standard).
_WIDER = {
    "ascii": "",
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "cp950",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
}
_EXTRA = {
    "8bit": "",
    "binary": "",
    "default": "",
    "none": "",
    "unknown": "",
    "unknown_8bit": "",
    "x_unknown": "",
    "cp874": "cp874",
    "cp932": "cp932",
    "cp50220": "iso2022_jp",
    "cp51932": "euc_jp",
    "euc_tw": "big5hkscs",
    "iso_8859_6_i": "iso8859_6",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "koi8_t": "koi8_t",
    "koi8_u": "koi8_u",
    "unicode_1_1_utf_7": "utf_7",
    "windows_874": "cp874",
    "x_euc_jp": "euc_jp",
    "x_gbk": "gb18030",
    "x_mac_roman": "mac_roman",
    "x_ms_cp932": "cp932",
    "x_sjis": "cp932",
}
_CODECS = {alias: _WIDER.get(codec, codec) for alias, codec in aliases.items() if codec not in _NOT_CHARSETS}
_CODECS |= {codec: _WIDER.get(codec, codec) for codec in aliases.values() if codec not in _NOT_CHARSETS}
_CODECS |= _EXTRA

_CODECS |= {"": "", "us-ascii": "", "utf-8": "utf_8", "iso-8859-1": "cp1252", "iso-2022-jp": "iso2022_jp"}
_LONGEST_LABEL = 40
_LABEL_NOISE = re.compile(r"[-. :]+")
_ESCAPE = re.compile(rb"\x1b(\$[@B]|\([BJI])")
_KANA = re.compile("[\u3041-\u30fe]")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_KANJI = re.compile("[\u4e00-\u9fff]")
_COMMON_ROW = re.compile(rb"[\x81-\x9f]")  # in Shift_JIS kana have these lead octets, too
_EUC_KANA_ROW = re.compile(rb"[\xa1\xa4\xa5]")
_ASCII_RUN = re.compile("[\x00-\x7f]++")
_ASCII, _LEADING = bytes(range(0x80)), bytes(range(0xC0, 0x100))
_NOT_LETTERS = bytes(octet for octet in _ASCII if not bytes((octet,)).isalpha())
_PRIVATE_USE = re.compile("[\ue000-\uf8ff]")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def codec_of(label: str) -> str:
    """Return the Python codec for a charset label, or "" when it tells nothing and must be guessed."""
    # Most labels are in their usual spelling, which `_CODECS` holds too.
    label = label[:_LONGEST_LABEL].lower()
    codec = _CODECS.get(label)
    return _CODECS.get(_LABEL_NOISE.sub("_", label.strip(" '\"\t")), "") if codec is None else codec


def clean(text: str) -> str:
    """Return the text without NUL and lone surrogates (rule C4)."""
    try:
        text.encode()  # a fraction of the time that a search takes
    except UnicodeEncodeError:
        return _NOT_TEXT.sub("", text)
    return text.replace("\0", "")


def decode_text(data: bytes, charset: str = "", *, cut: bool = False) -> str:
    """Decode bytes of a text in the labelled charset, guessing when the label is wrong; never raises.

    `cut`: the data may end inside a character, which is then dropped. The result is clean (rule C4);
    line ends are as they were.
    """
    if data.isascii() and b"\x1b" not in data and b"\0" not in data:
        codec = codec_of(charset)
        if not codec.startswith(("utf_7", "utf_16", "utf_32", "hz")):
            return data.decode("ascii")
    return clean(_labelled(data, codec_of(charset), cut=cut))


def _labelled(data: bytes, codec: str, *, cut: bool) -> str:
    if codec in ("", "cp1252") or (b"\x1b$" in data and not codec.startswith("iso2022")):
        return _guess(data, cut=cut)
    text = _strict(data, codec, cut=cut)
    return _guess(data, cut=cut) if text is None else text


def _strict(data: bytes, codec: str, *, cut: bool) -> str | None:
    """Decode without loss, or return None."""
    try:
        decoder = codecs.getincrementaldecoder(codec)("strict")
        return decoder.decode(data, final=not cut)
    except (ValueError, LookupError):
        return _japanese_extensions(data, codec, cut=cut)


def _guess(data: bytes, *, cut: bool) -> str:
    """Decode by what the bytes look like; the last guess accepts anything."""
    if b"\x1b$" in data and (text := _strict(data, "iso2022_jp", cut=cut)) is not None:
        return text
    if (text := _strict(data, "utf_8", cut=cut)) is not None:
        return text
    high = data.translate(None, _ASCII)  # in Western text few, and all that is looked for below
    if _mostly_utf_8(data, high):
        return data.decode("utf-8", "replace")
    # Without these octets neither can come out right, and most Western text has none of them.
    if _EUC_KANA_ROW.search(high):
        euc = _strict(data, "euc_jp", cut=cut)
        if euc is not None and _KANA.search(euc):
            return euc
    if _COMMON_ROW.search(high):
        sjis = _strict(data, "cp932", cut=cut)
        if sjis is not None and _looks_japanese(sjis, high):
            return sjis
    return _western(data)


def _looks_japanese(text: str, high: bytes) -> bool:
    """Tell Japanese from Western letters that happen to be valid Shift_JIS.

    Kana needs lead octets that Western text hardly has. Kanji alone arise from é or ’ + letter: they must
    be many beside the letters, and most of them of the common rows, whose lead octets are no letters.
    """
    other = _ASCII_RUN.sub("", text)
    if _PRIVATE_USE.search(other):
        return False
    kana, kanji = len(_KANA.findall(other)), len(_KANJI.findall(other))
    if kana + kanji <= len(_HALF_WIDTH.findall(other)):
        return False
    letters = len(text.encode("ascii", "ignore").translate(None, _NOT_LETTERS))
    if kana:
        return 16 * (kana + kanji) > letters
    return kanji > 1 and 2 * kanji > letters and 2 * len(_COMMON_ROW.findall(high)) >= kanji


def _mostly_utf_8(data: bytes, high: bytes) -> bool:
    """Tell UTF-8 with a few broken octets from text of one octet a letter."""
    following = len(high.translate(None, _LEADING))
    leading = len(high) - following
    if (leading - following) * 4 >= leading + following:  # each of those is broken; told quickly
        return False
    return data.decode("utf-8", "replace").count("\ufffd") * 4 < leading + following


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


_PAIR = re.compile(rb"[\x21-\x7e]{2}")
_EUC_CHARACTER = re.compile(rb"\x8e([\xa1-\xdf])|([\xa1-\xfe]{2})")
_EUC_TEXT = re.compile(rb"(?:[\x00-\x7f]++|\x8e[\xa1-\xdf]|[\xa1-\xfe]{2})*+")


def _japanese_extensions(data: bytes, codec: str, *, cut: bool) -> str | None:
    """Decode ISO-2022-JP or EUC-JP with the vendor characters (NEC row 13 …) that Python's codecs refuse."""
    if codec.startswith("iso2022_jp"):
        pieces = _ESCAPE.split(data)
        shifted = pieces[0] + b"".join(map(_shift_in, pieces[1::2], pieces[2::2]))
    elif codec == "euc_jp" and (text := _EUC_TEXT.match(data)) and len(data) - text.end() <= cut:
        shifted = _EUC_CHARACTER.sub(_euc_to_shift_jis, text.group())
    else:
        return None
    try:
        return shifted.decode("cp932")
    except UnicodeDecodeError:
        return None


def _shift_in(escape: bytes, run: bytes) -> bytes:
    """Return a run of ISO-2022-JP, which the escape sequence selects a set for, as Shift_JIS."""
    if escape[:1] == b"$":
        return _PAIR.sub(_pair_to_shift_jis, run[: len(run) & ~1])
    return bytes(octet | 0x80 if octet > 0x20 else octet for octet in run) if escape == b"(I" else run


def _pair_to_shift_jis(match: re.Match[bytes]) -> bytes:
    return _shift_jis(*match.group())


def _euc_to_shift_jis(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return match[1]
    return _shift_jis(match[2][0] & 0x7F, match[2][1] & 0x7F)


def _shift_jis(row: int, cell: int) -> bytes:
    """Return the Shift_JIS form of a JIS X 0208 position given as two octets 0x21…0x7E."""
    lead = ((row + 1) >> 1) + (0x70 if row < 0x5F else 0xB0)
    trail = cell + (0x1F if cell < 0x60 else 0x20) if row & 1 else cell + 0x7E
    return bytes((lead, trail))
