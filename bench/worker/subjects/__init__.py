"""What clients call, a file for each kind: managers, the floor, no-ops, whole lives of children.

Each kind is a `subject.Subject`. `choice` opens the one that a case asks for.
"""
