"""
What is kept beside an object, where the service has headers for it.

Names of facts are identifiers. Their values are headers, so all but shown ASCII is quoted as in URLs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_SHOWN: Final = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"


def quoted_facts(facts: Mapping[str, str], *, also_shown: str = "") -> dict[str, str]:
    """
    *facts* with values in ASCII.

    Args:
        facts: by name.
        also_shown: characters that need not be quoted either.

    Raises:
        ValueError: a name is none that metadata can have.
    """
    for name in facts:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} cannot be the name of metadata")
    return {name: quote(value, safe=_SHOWN + also_shown) for name, value in facts.items()}
