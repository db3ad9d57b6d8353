"""
What may be asked of a running server: each operation with who may do it, its line in the audit log, and its job.

XMLA and REST are two languages for the same operations; neither decides anything itself.
"""
