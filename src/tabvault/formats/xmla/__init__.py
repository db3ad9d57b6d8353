"""
XML for Analysis: the SOAP text that clients of Analysis Services send, and the answers they read.

Bytes in, values out (:mod:`.request`); values in, bytes out (:mod:`.rowset`, :mod:`.response`). Sockets, sessions and
the doing of commands are elsewhere. The structures, their sources and what each client does with them are written down
in ``docs/formats/xmla.md``.
"""
