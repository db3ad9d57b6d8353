"""How numbers and dates are written in text, as far as it decides about values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

_BLANKS: Final = "[\u00a0\u202f ]"
"""What stands between groups of digits where a blank does: most files have a blank that keeps the line together."""


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """
    How text is read where a column of the model wants something else.

    Attributes:
        decimal_separator: before decimals.
        group_separator: between groups of three digits; None where there are none.
        date_order: of dates in digits, with any of ``. / -`` between them. ISO 8601 is read in any case.
    """

    decimal_separator: Literal[".", ","] = "."
    group_separator: Literal[".", ",", " "] | None = None
    date_order: Literal["ymd", "dmy", "mdy"] = "ymd"

    def plain_numbers(self, text: pa.Array) -> pa.Array:
        """
        *text* with a point before decimals and without groups.

        What is no number by these rules becomes ``?``: without its separators it could look like one.
        """
        if self.group_separator is None and self.decimal_separator == ".":
            return text
        point = "\\" + self.decimal_separator
        group = {None: None, " ": _BLANKS}.get(self.group_separator, f"\\{self.group_separator}")
        digits = r"\d+" if group is None else rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)"
        is_number = pc.match_substring_regex(text, rf"^[+-]?(?:{digits}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?$")
        plain = text if group is None else pc.replace_substring_regex(text, group, "")
        return pc.if_else(is_number, pc.replace_substring(plain, self.decimal_separator, "."), "?")

    def iso_dates(self, text: pa.Array) -> pa.Array:
        """*text* with dates of these rules rewritten as ISO 8601, and all else as it is."""
        if self.date_order == "ymd":
            return pc.replace_substring_regex(text, r"^(\d{4})[./](\d\d)[./](\d\d)", r"\1-\2-\3")
        text = pc.replace_substring_regex(text, r"^(\d[./-])", r"0\1")
        text = pc.replace_substring_regex(text, r"^(\d\d[./-])(\d[./-]\d{4})", r"\1" "0" r"\2")
        order = r"\3-\2-\1" if self.date_order == "dmy" else r"\3-\1-\2"
        return pc.replace_substring_regex(text, r"^(\d\d)[./-](\d\d)[./-](\d{4})", order)
