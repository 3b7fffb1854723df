"""A manager as one would write it first, with asyncio's streams and a lock: a yardstick."""

from bench.cases.managers.kind import Kind, Look

STREAMS = Kind(
    name="streams",
    subject="bench.worker.subjects.manager:streams_subject",
    has_tenants=True,
    is_async=True,
    look=Look("#CC79A7", "D"),
    # There is no pipe for stderr, but the child's pidfd, or a thread that waits for its end.
    per_tenant=(3, 2),
)
