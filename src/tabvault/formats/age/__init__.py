"""
The age v1 file encryption format with a passphrase: one header, one payload in chunks that can be read at random.

::

    offset   bytes         part
    0        149 or 150    header: text lines, one "scrypt" stanza with the wrapped file key, a MAC   (header, keys)
    +0       16            payload nonce
    +16      65 552 each   chunks: up to 65 536 bytes of plaintext and a 16-byte tag each              (payload)

A passphrase and the salt of the header give the *wrap key* (scrypt), which opens the *file key*; the file key gives the
key of the header's MAC and, with the payload nonce, the *payload key* of the chunks.

A password is the UTF-8 of what the user typed, without any normalisation, as the age tools take it.

Source: age-encryption.org/v1 (c2sp.org/age). Armored files and recipients other than a passphrase are not read.
"""

from __future__ import annotations

from tabvault.formats.age.decrypted_source import DecryptedSource
from tabvault.formats.age.encryptor import Encryptor, Finished
from tabvault.formats.age.header import MAGIC, is_age
from tabvault.formats.age.keys import WORK_FACTOR, WORK_FACTOR_MAX

__all__ = ["MAGIC", "is_age", "Encryptor", "Finished", "DecryptedSource", "WORK_FACTOR", "WORK_FACTOR_MAX"]
