"""What runs need, found or made before the first of them: programs, interpreters, requests.

`equipment.prepare` makes all of it. The other modules each know one part.
"""
