"""Hostile headers, passwords and the cost of trying one."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from age_by_the_book import (
    NONCE,
    PASSWORD,
    SALT,
    age_file,
    base64_text,
    header,
    sealed_chunk,
    stanza,
    wrapped_file_key,
)
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tabvault.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    PasswordError,
    PasswordRequiredError,
    PasswordWrongError,
    TruncatedError,
    UnsupportedFeatureError,
)
from tabvault.formats.age import WORK_FACTOR, DecryptedSource, Encryptor, keys
from tabvault.formats.byte_source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Iterator

SALT_TEXT = base64_text(SALT)
BODY_TEXT = base64_text(wrapped_file_key())
PAYLOAD = NONCE + sealed_chunk(b"hello", index=0, final=True)


def opened(head: bytes, password: str = PASSWORD) -> DecryptedSource:
    return DecryptedSource(MemorySource(head + PAYLOAD), password)


@pytest.fixture
def scrypt_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """N of each scrypt that is computed from here on."""
    calls: list[int] = []

    def counted(*, salt: bytes, length: int, n: int, r: int, p: int) -> Scrypt:
        calls.append(n)
        return Scrypt(salt=salt, length=length, n=n, r=r, p=p)

    monkeypatch.setattr(keys, "Scrypt", counted)
    return calls


def test_the_header_that_the_others_vary_is_good(scrypt_calls: list[int]) -> None:
    assert bytes(opened(header()).read_at(0, 5)) == b"hello"
    assert scrypt_calls == [4]


@pytest.mark.parametrize(
    ("stanzas", "message"),
    [
        (stanza(arguments=SALT_TEXT + b" 02"), "work factor is '02', not decimal digits"),
        (stanza(arguments=SALT_TEXT + b" 0"), "work factor is '0', not decimal digits"),
        (stanza(arguments=SALT_TEXT + b" +2"), r"work factor is '\+2', not decimal digits"),
        (stanza(arguments=SALT_TEXT + b" -2"), "work factor is '-2', not decimal digits"),
        (stanza(arguments=SALT_TEXT + b" 0x2"), "work factor is '0x2', not decimal digits"),
        (stanza(arguments=SALT_TEXT + b" 2a"), "work factor is '2a', not decimal digits"),
        (stanza(arguments=SALT_TEXT), "scrypt stanza has 2 arguments, not 3"),
        (stanza(arguments=SALT_TEXT + b" 2 2"), "scrypt stanza has 4 arguments, not 3"),
        (stanza(arguments=SALT_TEXT + b"  2"), "recipient stanza is .* not '-> ' and words"),
        (stanza(arguments=SALT_TEXT + b" 2 "), "recipient stanza is .* not '-> ' and words"),
        (stanza(arguments=SALT_TEXT + b" 2\r"), r"recipient stanza is .*\\r', not '-> ' and words"),
        (stanza(arguments=SALT_TEXT + b" \xb2"), r"recipient stanza is .*\\xb2', not '-> ' and words"),
        (stanza(arguments=SALT_TEXT + b"== 2"), "scrypt salt is .* not canonical base64"),
        (stanza(arguments=SALT_TEXT[:-1] + b"x 2"), "scrypt salt is .* not canonical base64"),
        (stanza(arguments=SALT_TEXT[:-2] + b"_w 2"), "scrypt salt is .* not canonical base64"),
        (stanza(arguments=base64_text(SALT[:-1]) + b" 2"), "scrypt salt has 15 bytes, not 16"),
        (stanza(arguments=base64_text(SALT + b"x") + b" 2"), "scrypt salt has 17 bytes, not 16"),
        (stanza(body=b""), "wrapped file key is '', not canonical base64"),
        (stanza(body=BODY_TEXT + b"="), "wrapped file key is .* not canonical base64"),
        (stanza(body=BODY_TEXT + b" "), "wrapped file key is .* not canonical base64"),
        (stanza(body=BODY_TEXT[:20] + b"\n" + BODY_TEXT[20:]), "wrapped file key has 15 bytes, not 32"),
        (stanza(body=base64_text(bytes(48))), "wrapped file key has 48 bytes, not 32"),
        (stanza(body=base64_text(wrapped_file_key(bytes(17)))), "wrapped file key has 33 bytes, not 32"),
        (stanza() + stanza(), "a second recipient stanza stands beside the scrypt stanza"),
        (stanza() + b"-> X25519 abc\n" + BODY_TEXT + b"\n", "a second recipient stanza"),
        (stanza() + b"\n", "MAC line begins '', not '--- '"),
        (b"", r"recipient stanza is '--- .*', not '-> '"),
        (b"\n" + stanza(), "recipient stanza is '', not '-> '"),
        (b"-> \n" + BODY_TEXT + b"\n", "recipient stanza is '-> ', not '-> ' and words"),
        (b"->scrypt\n" + BODY_TEXT + b"\n", "recipient stanza is '->scrypt', not '-> '"),
    ],
)
def test_a_stanza_that_is_not_the_specification_s_is_refused_before_any_scrypt(
    stanzas: bytes, message: str, scrypt_calls: list[int]
) -> None:
    with pytest.raises(FormatError, match=message):
        opened(header(stanzas))
    assert scrypt_calls == []


@pytest.mark.parametrize(
    ("found", "replaced", "error", "message"),
    [
        (b"v1\n", b"v2\n", FormatError, "version line is 'age-encryption.org/v2', not 'age-encryption.org/v1'"),
        (b"v1\n", b"v1\r\n", FormatError, r"version line is 'age-encryption.org/v1\\r'"),
        (b"--- ", b"---", FormatError, "MAC line begins '---.', not '--- '"),
        (b"--- ", b"---  ", FormatError, "header MAC is .* not canonical base64"),
        (b"--- ", b"--- AAAA", FormatError, "header MAC has 35 bytes, not 32"),
        (b"--- ", b"-- ", FormatError, "MAC line begins '-- .', not '--- '"),
        (b"--- ", b"\x1b[2J", FormatError, r"MAC line begins '\\x1b\[2J', not '--- '"),
    ],
)
def test_a_line_that_is_not_the_specification_s_is_refused(
    found: bytes, replaced: bytes, error: type[FormatError], message: str
) -> None:
    assert found in header()
    with pytest.raises(error, match=message):
        opened(header().replace(found, replaced))


@pytest.mark.parametrize("text", [b"21", b"25", b"64", b"100", b"9223372036854775818", b"1" + b"0" * 3000])
def test_a_work_factor_over_the_limit_is_refused_without_doing_the_work(text: bytes, scrypt_calls: list[int]) -> None:
    started_s = time.perf_counter()
    with pytest.raises(LimitError, match="over the limit of 20") as caught:
        opened(header(stanza(arguments=SALT_TEXT + b" " + text)))
    assert time.perf_counter() - started_s < 1
    assert scrypt_calls == []
    assert caught.value.hint is not None
    assert len(str(caught.value)) < 200


def test_the_largest_work_factor_without_the_memory_for_it_is_a_named_error() -> None:
    """A process that may have 768 MiB opens a file that asks for 1 GiB."""
    program = f"""
import resource
from tabvault.errors import LimitError
from tabvault.formats.age import DecryptedSource
from tabvault.formats.byte_source import MemorySource
resource.setrlimit(resource.RLIMIT_AS, (768 << 20, 768 << 20))
try:
    DecryptedSource(MemorySource({header(stanza(arguments=SALT_TEXT + b" 20")) + PAYLOAD!r}), "a password")
except LimitError as error:
    print(error)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.startswith("work factor 20 needs 1073741824 bytes of memory")


@pytest.mark.parametrize("recipient_type", [b"X25519", b"ssh-ed25519", b"mlkem768x25519", b"x-grease", b"Scrypt"])
def test_another_type_of_recipient_is_named(recipient_type: bytes) -> None:
    long_argument = base64_text(bytes(1120))  # as long as the post-quantum recipient's
    stanzas = b"-> " + recipient_type + b" " + long_argument + b"\n" + BODY_TEXT + b"\n"
    with pytest.raises(UnsupportedFeatureError, match=recipient_type.decode()) as caught:
        opened(header(stanzas))
    assert caught.value.offset == 22
    assert caught.value.hint is not None


def test_a_header_without_an_end_is_refused_by_its_length() -> None:
    with pytest.raises(LimitError, match="header is over 4096 bytes long: stanza body does not end"):
        opened(header(stanza(body=b"A" * 100_000)))


@pytest.mark.parametrize("password", ["correct hors", "correct horse ", "Correct horse", "\0", "ﬁ"])
def test_a_wrong_password_is_named_after_one_scrypt(password: str, scrypt_calls: list[int]) -> None:
    with pytest.raises(PasswordWrongError):
        opened(header(), password)
    assert scrypt_calls == [4]


def test_a_password_is_not_normalised() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    head = header(stanza(body=base64_text(wrapped_file_key(password=composed))))
    assert bytes(opened(head, composed).read_at(0, 5)) == b"hello"
    with pytest.raises(PasswordWrongError):
        opened(head, decomposed)


def test_an_empty_password_is_refused_both_ways() -> None:
    with pytest.raises(PasswordRequiredError):
        Encryptor("", deferred_byte_count=0, work_factor=1)
    with pytest.raises(PasswordRequiredError):
        opened(header(), "")


def test_a_password_that_is_not_text_is_refused_both_ways() -> None:
    with pytest.raises(PasswordError, match="not Unicode text"):
        Encryptor("pass\ud800word", deferred_byte_count=0, work_factor=1)
    with pytest.raises(PasswordError, match="not Unicode text") as caught:
        opened(header(), "pass\ud800word")
    assert caught.value.__context__ is None


def test_a_changed_header_under_the_right_password_is_a_checksum_error() -> None:
    other_mac = header(stanza(arguments=SALT_TEXT + b" 3"))[-44:]
    with pytest.raises(ChecksumError, match="header MAC does not match the 104 bytes before it") as caught:
        opened(header()[:-44] + other_mac)
    assert caught.value.offset == len(header()) - 44


def test_a_payload_that_is_too_short_is_refused_before_any_scrypt(scrypt_calls: list[int]) -> None:
    with pytest.raises(TruncatedError, match="payload needs at least 32 bytes and 31 remain"):
        DecryptedSource(MemorySource(age_file(b"")[:-1]), PASSWORD)
    assert scrypt_calls == []


@pytest.mark.usefixtures("slow_scrypt")
def test_the_work_factor_written_by_default_is_17() -> None:
    head = Encryptor(PASSWORD, deferred_byte_count=0).finish(b"").head
    assert head.splitlines()[1].endswith(b" 17")
    assert WORK_FACTOR == 17


def _frames(error: BaseException) -> Iterator[object]:
    """Every variable of every frame that *error* came through, except this module's."""
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename != __file__:
            yield from traceback.tb_frame.f_locals.values()
        traceback = traceback.tb_next


def test_no_object_and_no_traceback_holds_the_password() -> None:
    password = "not the password of the file"
    with pytest.raises(PasswordWrongError) as caught:
        opened(header(), password)
    seen = [repr(value) for value in _frames(caught.value)]
    assert len(seen) > 3
    assert not [text for text in seen if password in text]
    assert password not in str(caught.value)
    for holder in (opened(header()), Encryptor(PASSWORD, deferred_byte_count=0, work_factor=1)):
        assert PASSWORD not in repr(holder)
        assert not [value for value in vars(holder).values() if PASSWORD in repr(value)]
