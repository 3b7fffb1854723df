"""walredo's sync manager: a thread per client, each of which waits for the child in poll(2)."""

from bench.cases.managers.kind import Kind, Look

SYNC = Kind(
    name="sync",
    subject="bench.worker.subjects.manager:walredo_subject",
    has_tenants=True,
    is_walredo=True,
    look=Look("#D55E00", "o"),
    # Besides: two eventfd; a thread that reads the child's stderr, and the client's thread.
    per_tenant=(5, 3),
)
