"""XPress9 envelopes that the product reads and does not write: chunks of other lengths, and thread groups."""

from __future__ import annotations

import struct

from xpress9 import Xpress9

from tabvault.formats.xpress9 import Envelope
from tabvault.formats.xpress9_writer import CHUNK_BYTE_COUNT, Session


def single_session(data: bytes, *, chunk_byte_count: int = CHUNK_BYTE_COUNT) -> bytes:
    """*data* in an envelope of one session."""
    return Envelope.SINGLE_SESSION.value + _session(_chunks(data, chunk_byte_count))


def thread_groups(data: bytes, *, thread_count: int, chunk_byte_count: int = CHUNK_BYTE_COUNT) -> bytes:
    """
    *data* in an envelope of *thread_count* sessions.

    When the chunks cannot be shared out evenly, the prefix threads take one more each than the main threads.

    Args:
        data: at least *thread_count* chunks.
        thread_count: prefix and main threads together.
        chunk_byte_count: raw bytes of each chunk but the last.
    """
    chunks = _chunks(data, chunk_byte_count)
    main_chunks_per_thread, prefix_thread_count = divmod(len(chunks), thread_count)
    prefix_chunks_per_thread = main_chunks_per_thread + 1
    stream = Envelope.THREAD_GROUPS.value + struct.pack(
        "<5Q",
        main_chunks_per_thread,
        prefix_chunks_per_thread,
        prefix_thread_count,
        thread_count - prefix_thread_count,
        chunk_byte_count,
    )
    for thread in range(thread_count):
        share = prefix_chunks_per_thread if thread < prefix_thread_count else main_chunks_per_thread
        stream += _session(chunks[:share])
        chunks = chunks[share:]
    return stream


def _chunks(data: bytes, chunk_byte_count: int) -> list[bytes]:
    return [data[start : start + chunk_byte_count] for start in range(0, len(data), chunk_byte_count)]


def _session(chunks: list[bytes]) -> bytes:
    session = Session(Xpress9())
    return b"".join(session.frame(chunk) for chunk in chunks)
