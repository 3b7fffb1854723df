"""The fake redo child: programs that speak the redo protocol and compute a checkable page.

``PROTOCOL.md`` is the specification. ``build`` compiles the C programs and makes the command lines.
``child.python_child`` is the same child in Python, with the page as a function. This file imports
nothing, so that each module can be imported alone.
"""
