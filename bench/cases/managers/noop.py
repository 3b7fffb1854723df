"""No manager at all, but a page that is ready: what a redo takes is what the harness costs."""

from bench.cases.managers.kind import Kind, Look

NOOP_SYNC = Kind(
    name="noop-sync",
    subject="bench.worker.subjects.noop:NoopSubject",
    has_child=False,
    is_manager=False,
    look=Look("#E69F00", "v"),
)
NOOP_ASYNC = Kind(
    name="noop-async",
    subject="bench.worker.subjects.noop:NoopSubject",
    is_async=True,
    has_child=False,
    is_manager=False,
    look=Look("#56B4E9", "P"),
)
