"""One slice as a worker or a peer measured it: raw integers, checked when it is made.

What they mean is in ``measures``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.errors import SampleError

Int64s = NDArray[np.int64]

REDOS_PER_CLIENT = 30
"""A slice is stretched until a client can finish so many redos in it. With fewer, the time that the
last redo of each client takes beyond the deadline would count too much."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceSamples:
    """What N clients did in one slice. All arrays are read-only int64.

    ``start_ns[N]`` and ``end_ns[N]``: the start of each client and the end of its last redo, in ns
    after the barrier opened. ``redos[N]``: the number of redos of each. ``latency_ns[sum(redos)]``:
    one sample per redo, client after client. ``deadline_ns``: after it no client starts a redo.

    ``is_open``: the slice is of an open loop. Latency counts from the intended start, all intended
    starts lie before ``deadline_ns``, and a client may have no redo; then its end is its start.
    At least one client must have one.

    ``redo_end_ns[sum(redos)]``: when each redo of a closed loop ended, client after client, by a
    clock with any zero; None where it is not known.

    Raises SampleError if the numbers cannot be a measurement.
    """

    start_ns: Int64s
    end_ns: Int64s
    redos: Int64s
    latency_ns: Int64s
    deadline_ns: int = 0
    is_open: bool = False
    redo_end_ns: Int64s | None = None
    turn_ns: Int64s | None = field(init=False)
    """The turn of each redo: from the end of the client's redo before it, or from the barrier, to
    its own end. int64[sum(redos)], client after client; None where ends are not known."""

    def __post_init__(self) -> None:
        for name in ("start_ns", "end_ns", "redos", "latency_ns", "redo_end_ns"):
            array = getattr(self, name)
            if array is None:
                continue
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
        turn_ns = None
        if self.redo_end_ns is not None:
            ends = self.redo_end_ns.size
            _require(ends == redos, f"{ends} ends of {redos} redos")
            turn_ns = _turns(self.end_ns, self.redos, self.redo_end_ns)
            _require(bool((turn_ns > 0).all()), "a redo that ended before the one before it")
        object.__setattr__(self, "turn_ns", turn_ns)

    @property
    def clients(self) -> int:
        """N."""
        return int(self.start_ns.size)

    @classmethod
    def from_payload(
        cls,
        payload: bytes,
        clients: int,
        deadline_ns: int = 0,
        *,
        is_open: bool = False,
        redo_end_ns: Int64s | None = None,
    ) -> SliceSamples:
        """Decodes native-endian int64: start_ns, end_ns, redos of each client, then the samples.

        Raises SampleError if the payload is cut short, too long or garbage.
        """
        _require(clients >= 1, f"{clients} clients")
        numbers = int64s_from(payload)
        head = clients * 3
        _require(
            numbers.size > head,
            f"{numbers.size} integers are too few for {clients} clients and their samples",
        )
        start_ns, end_ns, redos = numbers[:head].reshape(clients, 3).T.copy()
        latency_ns = numbers[head:]
        return cls(start_ns, end_ns, redos, latency_ns, deadline_ns, is_open, redo_end_ns)


@dataclass(frozen=True, slots=True)
class SliceSummary:
    """What N clients did in one slice of a peer, whose single redos are not known.

    ``wall_ns``: from the barrier to the last client's end. ``clients_ns``: the sum of the clients'
    walls. Raises SampleError if the numbers cannot be a measurement.
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


def _turns(end_ns: Int64s, redos: Int64s, redo_end_ns: Int64s) -> Int64s:
    last = redos.cumsum() - 1
    # The end of a client is that of its last redo, counted from the barrier.
    from_barrier = redo_end_ns + np.repeat(end_ns - redo_end_ns[last], redos)
    turn_ns: Int64s = np.diff(from_barrier, prepend=0)
    first = last - redos + 1
    turn_ns[first] = from_barrier[first]
    return turn_ns


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
