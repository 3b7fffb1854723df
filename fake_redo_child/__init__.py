"""The fake redo child: programs that speak the redo protocol and compute a checkable page.

``PROTOCOL.md`` is the contract. ``build`` compiles the C programs and gives the command lines;
``python_child`` is the same child in Python and the page as a function. Nothing is imported here,
so that either can be had alone.
"""
