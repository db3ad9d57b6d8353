"""
Which names of databases Microsoft's clients take.

AMO and TOM refuse to connect to a server that lists one database with another name, whoever asks and for whatever.
Seen from 19.118, which says so itself; ids may have a full stop.
"""

from __future__ import annotations

import re
from typing import Final

NOT_IN_DATABASE_NAME: Final = re.compile(r"""[.,;'`:/\\*|?"&%$!+=()\[\]{}<>]""")
"""Characters that the name of a database must not have."""
