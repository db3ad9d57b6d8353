"""
The server: XMLA for Microsoft's clients, REST for programs, and what keeps both running.

:mod:`.service` is what all requests share, :mod:`.application` says which path is answered by what. Nothing here
decides who may do what: that is :mod:`tabvault.jobs.operations`.
"""
