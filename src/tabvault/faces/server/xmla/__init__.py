"""
XML for Analysis, as Microsoft's clients speak it.

A request goes through :mod:`.endpoint` (HTTP), :mod:`.conversation` (session), then :mod:`.discover` or
:mod:`.execute`, which hands on to :mod:`.commands`, :mod:`.tmsl` or :mod:`.statements`; :mod:`.results` makes the
answer.
"""
