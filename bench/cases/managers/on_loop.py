"""walredo's async manager, on asyncio's own event loop and on uvloop's."""

from dataclasses import replace

from bench.cases.managers.kind import UVLOOP, Kind, Look

ASYNC = Kind(
    name="async",
    subject="bench.worker.subjects.manager:walredo_subject",
    has_tenants=True,
    is_async=True,
    is_walredo=True,
    look=Look("#0072B2", "s"),
)
ASYNC_UVLOOP = replace(ASYNC, name="async-uvloop", loop=UVLOOP, look=Look("#009E73", "^"))
