"""Results as one HTML page that needs nothing else; the templates are beside the modules.

Imports what `bench.show` may, pictures included. The door is `page`.
"""
