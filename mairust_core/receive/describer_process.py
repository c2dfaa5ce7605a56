"""The child of `describers`: lists of messages in, what is in each of them and its record out."""

from __future__ import annotations

import gc
import signal
import sys

from mairust_core.blobs.records import pack
from mairust_core.model.blob import Bytes
from mairust_core.receive.describers import Answer, read_frame, write_frame
from mairust_core.receive.describing import describe_to_keep


def main() -> int:
    """Answer until stdin ends; 0."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides what it ends
    gc.disable()  # nothing here is cyclic
    while True:
        try:
            messages: list[bytes] = read_frame(sys.stdin.buffer)
        except EOFError:
            return 0
        write_frame(sys.stdout.buffer, [_answer(data) for data in messages])


def _answer(data: bytes) -> Answer:
    content = Bytes.of(data)
    packed = pack(content)
    return describe_to_keep(content), content.sha256, packed.header.codec, packed.data


if __name__ == "__main__":
    sys.exit(main())
