r"""
Which names an object and a container may have.

A name is typed by people (SSMS users write ``sales\monday.abf``), travels between Linux, Windows and Azure, and
becomes a path on a disk. So it is brought into one spelling first, and then has to be good everywhere at once:

1. ``\`` is read as ``/``, one leading ``/`` is dropped, and the text is normalised to Unicode NFC. Normalised
   rather than refused: the same letters typed on a Mac (which decomposes them) are the same name, and no user could
   see why one of two equal-looking names is wrong.
2. No component escapes: none is empty, ``.`` or ``..``; no drive letter, no ``\\server\share``.
3. No component is hidden (a leading dot): those names are the store's own.
4. Windows could keep it: no reserved device name, none of ``<>:"|?*``, no dot or space at the end of a component.
5. It shows what it is: no control character, no line separator, no character that reorders the text around it, no
   surrogate, no noncharacter (the last two cannot stand in the XML of an Azure listing either).
6. Limits: 1024 characters and 254 path segments (Azure Blob Storage), 255 bytes of UTF-8 per component (Linux).

Container names follow Azure's rule: 3 to 63 of ``a-z``, ``0-9`` and single hyphens, with a letter or digit at both
ends.

Sources: "Naming and referencing containers, blobs, and metadata" (Azure), "Naming files, paths, and namespaces"
(Windows), NAME_MAX of Linux.
"""

from __future__ import annotations

import re
import unicodedata

from tabvault.errors import InvalidNameError

NAME_CHARACTER_COUNT_MAX = 1024
SEGMENT_COUNT_MAX = 254
COMPONENT_BYTE_COUNT_MAX = 255
CONTAINER_NAME_LENGTHS = range(3, 64)

_WINDOWS_CHARACTERS = frozenset('<>:"|?*')
_WINDOWS_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    # Windows takes the superscript digits one to three for digits here.
    + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"]
)
_UNSHOWN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REORDERING_CLASSES = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_CONTAINER_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

_HINT = "use a name like sales/monday.abf: folders and a file name, relative to the container"


def check_object_name(name: str) -> str:
    """
    The one spelling of *name*, if it can denote an object of a container.

    The answer is a fixed point: checking it again gives the same.

    Raises:
        InvalidNameError: it cannot; the message says which part and why.
    """
    # Before anything else, so that no work is done on a name of a gigabyte.
    _check_length(name)
    spelling = unicodedata.normalize("NFC", name.replace("\\", "/"))
    _check_length(spelling)
    if spelling.startswith("//"):
        raise InvalidNameError(f"{_shown(name)} is a network path, not a name in the container", hint=_HINT)
    if re.match(r"/?[A-Za-z]:", spelling):
        raise InvalidNameError(f"{_shown(name)} begins with a drive letter", hint=_HINT)
    spelling = spelling.removeprefix("/")
    components = spelling.split("/")
    if len(components) > SEGMENT_COUNT_MAX:
        raise InvalidNameError(
            f"the name has {len(components)} path segments, and {SEGMENT_COUNT_MAX} are allowed", hint=_HINT
        )
    for component in components:
        reason = _fault(component)
        if reason is not None:
            raise InvalidNameError(f"the name {_shown(name)} cannot be used: {reason}", hint=_HINT)
    return spelling


def check_container_name(name: str) -> str:
    """
    *name* itself, if it can be the name of a container.

    Raises:
        InvalidNameError: it cannot.
    """
    if len(name) not in CONTAINER_NAME_LENGTHS or _CONTAINER_NAME.fullmatch(name) is None:
        raise InvalidNameError(
            f"{_shown(name)} cannot be the name of a container",
            hint="3 to 63 lower-case letters, digits and single hyphens, with a letter or digit at both ends",
        )
    return name


def is_object_name(name: str) -> bool:
    """Whether *name*, as something lists it, is the spelling of an object's name."""
    try:
        return check_object_name(name) == name
    except InvalidNameError:
        return False


def is_container_name(name: str) -> bool:
    """Whether *name* can be the name of a container."""
    try:
        check_container_name(name)
    except InvalidNameError:
        return False
    return True


def _check_length(name: str) -> None:
    if not name:
        raise InvalidNameError("the name is empty", hint=_HINT)
    if len(name) > NAME_CHARACTER_COUNT_MAX:
        raise InvalidNameError(
            f"the name has {len(name)} characters, and {NAME_CHARACTER_COUNT_MAX} are allowed", hint=_HINT
        )


def _fault(component: str) -> str | None:
    """Why *component* cannot be a folder or file name, or ``None``."""
    if not component:
        return "a part of it is empty"
    if component.startswith("."):
        # Holds for "." and ".." as well.
        return f"{_shown(component)} begins with a dot"
    for character in component:
        if _is_unshown(character):
            return f"it contains the character U+{ord(character):04X}"
        if character in _WINDOWS_CHARACTERS:
            return f"it contains {character}"
    if component.endswith(".") or component[-1].isspace():
        return f"{_shown(component)} ends with a dot or a space"
    if component.split(".", maxsplit=1)[0].rstrip().upper() in _WINDOWS_DEVICES:
        return f"{_shown(component)} is a device on Windows"
    byte_count = len(component.encode())
    if byte_count > COMPONENT_BYTE_COUNT_MAX:
        return f"a part of it has {byte_count} bytes, and {COMPONENT_BYTE_COUNT_MAX} are allowed"
    return None


def _is_unshown(character: str) -> bool:
    code_point = ord(character)
    return (
        unicodedata.category(character) in _UNSHOWN_CATEGORIES
        or unicodedata.bidirectional(character) in _REORDERING_CLASSES
        or code_point & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code_point <= 0xFDEF
    )


def _shown(text: str) -> str:
    """*text* in quotes, printable whatever it holds, and not over a line long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
