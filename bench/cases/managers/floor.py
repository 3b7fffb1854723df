"""The floor: a C client that does nothing else, so what the same traffic costs at the least."""

from bench.cases.managers.kind import Kind

FLOOR = Kind(
    name="floor",
    subject="bench.worker.subjects.floor:FloorSubject",
    is_python=False,
    is_manager=False,
)
