"""One slice as a worker or a peer measured it, checked when made.

Only raw integers and the way they travel belong here; what they mean as numbers is in
``measures``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import SampleError

Int64s = NDArray[np.int64]

REDOS_PER_CLIENT = 30
"""A slice is stretched until a client can finish so many redos in it: with fewer, what the last
redo of each client adds after the deadline would weigh too much."""

_HEADER_FIELDS = 3
"""start_ns, end_ns and redos of each client come before the samples."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceSamples:
    """What N clients did in one slice. All arrays are int64 and cannot be written to.

    ``start_ns[N]`` and ``end_ns[N]``: when each client began and when its last redo had ended, in
    ns after the barrier opened. ``redos[N]``: how many redos each did. ``latency_ns[sum(redos)]``:
    one sample per redo, client after client. ``deadline_ns``: when a client was to stop with the
    redo that it was at.

    ``is_open``: of an open loop, in which latency counts from the intended start, ``deadline_ns``
    is the time in which redos were to start, and a client may have had no redo: it ends where it
    started then. Someone had one, or it is no measurement.

    Raises SampleError when the numbers cannot be a measurement.
    """

    start_ns: Int64s
    end_ns: Int64s
    redos: Int64s
    latency_ns: Int64s
    deadline_ns: int = 0
    is_open: bool = False

    def __post_init__(self) -> None:
        for name in ("start_ns", "end_ns", "redos", "latency_ns"):
            array = getattr(self, name)
            _require(array.ndim == 1, f"{name} has {array.ndim} dimensions, not 1")
            _require(array.dtype == np.int64, f"{name} is {array.dtype}, not int64")
            # A view, so that the caller's own array stays as it was.
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        clients = self.start_ns.size
        _require(clients >= 1, "a slice without a client")
        _require(
            self.end_ns.size == clients and self.redos.size == clients,
            f"{clients} starts, {self.end_ns.size} ends and {self.redos.size} counts of redos",
        )
        if self.is_open:
            _require(bool((self.redos >= 0).all()), "a client with fewer than no redos")
            _require(bool(self.redos.any()), "a slice without a redo")
        else:
            _require(bool((self.redos >= 1).all()), "a client without a redo")
        _require(
            bool((self.end_ns >= self.start_ns).all()), "a client that ended before it started"
        )
        _require(bool((self.end_ns > 0).all()), "a client that ended before the barrier opened")
        # Summed as Python's integers: garbage may well overflow 64 bits and come out right.
        redos = sum(self.redos.tolist())
        _require(self.latency_ns.size == redos, f"{self.latency_ns.size} samples of {redos} redos")
        _require(bool((self.latency_ns > 0).all()), "a latency that is not above 0 ns")
        _require(self.deadline_ns >= 0, f"a deadline of {self.deadline_ns} ns")

    @property
    def clients(self) -> int:
        """N, the number of clients."""
        return int(self.start_ns.size)

    @classmethod
    def from_payload(
        cls, payload: bytes, clients: int, deadline_ns: int = 0, *, is_open: bool = False
    ) -> SliceSamples:
        """Decode native-endian int64: start_ns, end_ns, redos of each client, then the samples.

        Raises SampleError when the payload is cut short, too long or garbage.
        """
        _require(clients >= 1, f"{clients} clients")
        numbers = int64s_from(payload)
        head = clients * _HEADER_FIELDS
        _require(
            numbers.size > head,
            f"{numbers.size} integers are too few for {clients} clients and their samples",
        )
        start_ns, end_ns, redos = numbers[:head].reshape(clients, _HEADER_FIELDS).T
        latency_ns = numbers[head:]
        return cls(
            start_ns.copy(), end_ns.copy(), redos.copy(), latency_ns, deadline_ns, is_open=is_open
        )


@dataclass(frozen=True, slots=True)
class SliceSummary:
    """What N clients did in one slice, where the single redos are not known (a peer).

    ``wall_ns``: from the barrier to the last client's end. ``clients_ns``: the clients' walls,
    added up. Raises SampleError when the numbers cannot be a measurement.
    """

    clients: int
    redos: int
    wall_ns: int
    clients_ns: int

    def __post_init__(self) -> None:
        possible = self.clients >= 1 and self.redos >= self.clients
        if not (possible and self.wall_ns > 0 and self.clients_ns > 0):
            raise SampleError(f"impossible: {self}")


Slice = SliceSamples | SliceSummary


def int64s_from(data: bytes) -> Int64s:
    """Native-endian int64 as a worker sends them. Raises SampleError."""
    width = np.dtype(np.int64).itemsize
    _require(len(data) % width == 0, f"{len(data)} bytes are no whole 64-bit integers")
    return np.frombuffer(data, dtype=np.int64)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise SampleError(
            f"a worker sent impossible samples ({problem}): "
            "worker and suite are probably of different versions, reinstall and run again"
        )
