"""
The REST interface, below ``/api``: JSON in, JSON out, problem details (RFC 9457) for what fails.

:mod:`.routes` is the one table of everything that can be asked; :mod:`.endpoint` answers by it, :mod:`.openapi`
describes it. Handlers translate: who may do what, and what it leaves in the audit log, is decided by
:mod:`tabvault.jobs.operations`.
"""
