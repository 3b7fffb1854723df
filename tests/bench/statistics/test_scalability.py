"""How throughput grows with N: on made-up throughput whose law is known."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.results.summary import MEASURES, CaseRow, Estimate, Group, Summary, load_summary
from bench.show.comparison import as_data as comparison_data
from bench.show.over_clients import print_scaling
from bench.show.summary import as_data, print_summary
from bench.statistics.bounded import Bounded
from bench.statistics.comparison import compare
from bench.statistics.scalability import MIN_N, Fit, Scaling, scalings
from tests.support.printed import printed
from tests.support.synthetic import reading, save, steady_record

CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128)

ByRound = Mapping[int, float]


def law(
    clients: Sequence[int] = CLIENTS, *, rate: float = 10_000.0, sigma: float, kappa: float
) -> dict[int, float]:
    """The throughput at each N."""
    return {n: rate * n / (1 + sigma * (n - 1) + kappa * n * (n - 1)) for n in clients}


def noisy(
    throughput: Mapping[int, float], rounds: int, random: np.random.Generator, noise: float = 0.05
) -> dict[int, ByRound]:
    """Rounds of it, each with a pace of its own; ``noise`` is that of each run."""
    paces = np.exp(random.normal(0, 0.1, rounds))
    return {
        n: dict(enumerate((value * paces * np.exp(random.normal(0, noise, rounds))).tolist()))
        for n, value in throughput.items()
    }


def group_of(throughput: Mapping[int, float | ByRound], manager: str = "async") -> Group:
    """A group of one manager; a number stands for three rounds that are all alike."""
    rows = []
    for n, values in throughput.items():
        by_round = values if isinstance(values, Mapping) else dict.fromkeys(range(3), values)
        measures: dict[str, Estimate | None] = dict.fromkeys(MEASURES)
        measures["throughput_per_s"] = Estimate.of(by_round.items())
        rows.append(
            CaseRow(
                case=Case(manager, "short", n),
                rounds=tuple(by_round),
                missed=(),
                slices={},
                further={},
                pipe_bytes={},
                **measures,
            )
        )
    return Group("short", (), tuple(rows))


def scaling(throughput: Mapping[int, float | ByRound]) -> Scaling:
    (one,) = scalings(group_of(throughput))
    assert (one.fit is None) == (one.why_not is not None)
    return one


def fit(throughput: Mapping[int, float | ByRound]) -> Fit:
    found = scaling(throughput).fit
    assert found is not None
    return found


def why_not(throughput: Mapping[int, float | ByRound]) -> str:
    found = scaling(throughput).why_not
    assert found is not None
    return found


@pytest.mark.parametrize("clients", [CLIENTS, CLIENTS[:MIN_N], (2, 8, 32, 64, 96)])
@pytest.mark.parametrize(
    ("sigma", "kappa"), [(0.05, 0.01), (0.05, 0.0001), (0.3, 0.0), (0.0, 0.002), (0.0, 0.0)]
)
def test_without_noise_the_law_is_found_exactly(
    clients: tuple[int, ...], sigma: float, kappa: float
) -> None:
    found = fit(law(clients, sigma=sigma, kappa=kappa))
    for one, truth in (
        (found.lambda_per_s, 10_000),
        (found.sigma, sigma),
        (found.kappa, kappa),
    ):
        assert (one.value, one.low, one.high) == pytest.approx((truth,) * 3, rel=1e-4, abs=1e-7)
    assert found.worst == pytest.approx(0, abs=1e-5)


def test_the_peak_is_where_throughput_is_greatest() -> None:
    throughput = law(range(1, 129), sigma=0.1, kappa=0.001)
    peak = fit(throughput).peak
    assert peak.clients == pytest.approx(30)
    assert (peak.low, peak.high) == pytest.approx((30, 30))
    assert max(throughput, key=lambda n: throughput[n]) == 30


@pytest.mark.parametrize(
    ("clients", "sigma", "kappa", "peak"),
    [
        (CLIENTS, 0.1, 0.0, None),  # never
        (CLIENTS, 0.1, 0.00001, None),  # at 300: nobody was there
        (CLIENTS, 1.2, 0.001, 1),
        (CLIENTS, 0.0, 2.0, 1),
        ((8, 16, 32, 64, 128), 0.1, 0.1, 8),  # at 3 or anywhere below 8
    ],
)
def test_a_peak_beyond_the_measured_n_is_not_extrapolated(
    clients: tuple[int, ...], sigma: float, kappa: float, peak: float | None
) -> None:
    found = fit(law(clients, sigma=sigma, kappa=kappa)).peak
    assert found.known
    assert (found.clients, found.low, found.high) == (peak,) * 3


def test_what_makes_a_round_slow_as_a_whole_changes_lambda_alone() -> None:
    throughput = law(sigma=0.05, kappa=0.001)
    rounds: dict[int, ByRound] = {
        n: dict(enumerate((value, value / 2, value * 2))) for n, value in throughput.items()
    }
    found = fit(rounds)
    assert found.lambda_per_s.value == pytest.approx(10_000)
    assert found.lambda_per_s.low is not None
    assert found.lambda_per_s.low < 8_000
    assert (found.sigma.low, found.sigma.high) == pytest.approx((0.05, 0.05))
    assert (found.kappa.low, found.kappa.high) == pytest.approx((0.001, 0.001))


@pytest.mark.parametrize(("sigma", "kappa"), [(0.05, 0.0005), (0.3, 0.0)])
@pytest.mark.parametrize("rounds", [2, 5])
def test_the_intervals_hold_the_truth(sigma: float, kappa: float, rounds: int) -> None:
    """As often as they say, give or take what 100 attempts can tell."""
    random = np.random.default_rng(11)
    tries = 100
    held = {"lambda": 0, "sigma": 0, "kappa": 0, "peak": 0}
    for _ in range(tries):
        found = fit(noisy(law(sigma=sigma, kappa=kappa), rounds, random))
        held["lambda"] += holds(found.lambda_per_s, 10_000)
        held["sigma"] += holds(found.sigma, sigma)
        held["kappa"] += holds(found.kappa, kappa)
        low, high = (CLIENTS[-1] if n is None else n for n in (found.peak.low, found.peak.high))
        peak = np.sqrt((1 - sigma) / kappa) if kappa else np.inf
        held["peak"] += low <= min(peak, CLIENTS[-1]) <= high
    assert min(held.values()) >= 0.85 * tries, held


def holds(one: Bounded[float], truth: float) -> bool:
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.value <= one.high
    return one.low <= truth <= one.high


def test_intervals_are_narrower_where_less_scatters() -> None:
    widths = []
    for noise in (0.01, 0.04):
        found = fit(noisy(law(sigma=0.1, kappa=0.001), 5, np.random.default_rng(2), noise))
        assert found.sigma.low is not None
        assert found.sigma.high is not None
        widths.append(found.sigma.high - found.sigma.low)
    assert 3 * widths[0] < widths[1]


@pytest.mark.parametrize(
    ("throughput", "said"),
    [
        (
            [10, 10, 10, 10, 40, 40, 40, 40],
            "8 throughput is 56% below the nearest curve (tolerance 9%)",
        ),
        (
            [10, 20, 10, 20, 10, 20, 10, 20],
            "2 throughput is 52% above the nearest curve (tolerance 10%)",
        ),
        (
            [10, 20, 40, 40, 15, 40, 40, 40],
            "16 throughput is 56% below the nearest curve (tolerance 9%)",
        ),
        (
            [10, 80, 160, 160, 160, 160, 160, 160],
            "1 throughput is 62% below the nearest curve (tolerance 9%)",
        ),  # more than linear
    ],
)
def test_what_follows_no_such_law_is_not_explained(throughput: list[float], said: str) -> None:
    assert why_not(dict(zip(CLIENTS, throughput, strict=True))) == f"at N = {said}"


def test_noise_excuses_some_distance_but_not_any() -> None:
    """At N = 8 a fifth, then a half is missing; two rounds are off to either side of the law."""
    for missing, scatter, explained in (
        (0.2, 0.0, False),
        (0.2, 0.4, True),
        (0.5, 0.4, False),
    ):
        throughput = law(sigma=0.05, kappa=0.001)
        throughput[8] *= 1 - missing
        signs = {n: 1 if index % 2 else -1 for index, n in enumerate(CLIENTS)}
        rounds: dict[int, ByRound] = {
            n: {
                number: value * (1 + scatter) ** (signs[n] * side)
                for number, side in ((0, 1), (1, -1))
            }
            for n, value in throughput.items()
        }
        one = scaling(rounds)
        assert (one.fit is not None) == explained, one


def test_a_level_throughput_is_explained() -> None:
    """R^2 would be 0."""
    found = fit(noisy(dict.fromkeys(CLIENTS, 14_000.0), 5, np.random.default_rng(3), 0.02))
    assert found.sigma.value == pytest.approx(1, abs=0.1)
    assert found.kappa.value < 0.001


@pytest.mark.parametrize("count", [2, 3, MIN_N - 1])
def test_too_few_n_are_not_fitted(count: int) -> None:
    one = scaling(law(CLIENTS[:count], sigma=0.1, kappa=0.001))
    assert one.why_not == f"measured at {count} N, {MIN_N} are needed"
    assert one.measured == CLIENTS[:count]


def test_one_n_does_not_scale() -> None:
    assert scalings(group_of({8: 10_000.0})) == []


def test_rounds_that_a_case_lacks_do_not_count() -> None:
    rounds: dict[int, dict[int, float]] = {
        n: dict.fromkeys(range(4), value) for n, value in law(sigma=0.1, kappa=0.001).items()
    }
    del rounds[64][2]
    rounds[1][2] = 1.0
    assert fit(rounds) == fit({n: dict.fromkeys(range(3), v[0]) for n, v in rounds.items()})


def test_a_case_that_never_ran_is_not_among_the_measured() -> None:
    throughput: dict[int, float | ByRound] = {**law(sigma=0.1, kappa=0.001), 32: {}}
    one = scaling(throughput)
    assert 32 not in one.measured
    assert one.fit is not None
    assert one.fit.sigma.value == pytest.approx(0.1)


def test_without_a_whole_round_there_is_no_fit() -> None:
    rounds: dict[int, ByRound] = {
        n: {number: value} for number, (n, value) in enumerate(law(sigma=0, kappa=0).items())
    }
    assert why_not(rounds) == "no round has all N"


def test_nothing_per_second_has_no_logarithm() -> None:
    assert why_not({**law(sigma=0.1, kappa=0), 8: 0.0}) == "a throughput is 0"


def test_one_client_must_have_a_throughput() -> None:
    """N / X as a straight line that is below 0 at N = 1."""
    throughput = {n: n / (n - 3) for n in (8, 16, 32, 64, 128)}
    assert why_not(throughput) == "the data do not determine the throughput of one client"


def test_a_search_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object, **__: object) -> None:
        raise RuntimeError("Optimal parameters not found")

    monkeypatch.setattr("scipy.optimize.curve_fit", endless)
    assert "does not end" in why_not(law(sigma=0.1, kappa=0))


def test_one_round_has_no_interval() -> None:
    found = fit({n: {0: value} for n, value in law(sigma=0.1, kappa=0.001).items()})
    assert found.sigma.value == pytest.approx(0.1)
    assert (found.sigma.low, found.sigma.high) == (None, None)
    assert (found.peak.known, found.peak.low, found.peak.high) == (False, None, None)
    assert found.peak.clients == pytest.approx(30)


# --- What is printed and given --------------------------------------------------------------------


def made_up(path: Path, rounds: int = 2, clients: Sequence[int] = CLIENTS) -> Summary:
    """async peaks at N = 30, sync is level, the floor follows no law."""
    zigzag = {n: 20_000.0 * (1 + index % 2) for index, n in enumerate(clients)}
    by_manager = {
        "async": law(clients, sigma=0.1, kappa=0.001),
        "sync": law(clients, sigma=1.0, kappa=0.0),
        "async-uvloop": law(clients, sigma=0.05, kappa=0.0),
        "floor": zigzag,
    }
    records = [
        steady_record(Case(manager, "short", n), number, latency_ns=round(n / value * 1e9))
        for number in range(rounds)
        for manager, throughput in by_manager.items()
        for n, value in throughput.items()
    ]
    return load_summary(save(path, records))


def grown(summary: Summary, width: int = 100) -> str:
    return printed(partial(print_scaling, summary), width)


def cells(text: str, manager: str) -> list[str]:
    """What stands beside a manager, whose name may go on in the next line."""
    lines = text[text.index("How throughput grows") :].splitlines()
    line = next(line for line in lines if line.startswith(f"{manager},"))
    return re.split(" {2,}", line.rstrip())[1:]


def test_show_prints_them(tmp_path: Path) -> None:
    text = grown(made_up(tmp_path / "r.json"))
    rate, sigma, kappa, peak, off = cells(text, "async")
    assert (rate, sigma) == ("10.0k (10.0k-10.0k)", "10.0 (10.0-10.0)")
    assert (kappa, peak, off) == ("1000 (1000-1000)", "30", "0%")
    assert cells(text, "async-uvloop")[3] == ">128"
    assert "no fit for floor, short: at N = " in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


def test_show_prints_one_round_without_intervals(tmp_path: Path) -> None:
    text = grown(made_up(tmp_path / "r.json", rounds=1))
    assert cells(text, "async") == ["10.0k (?)", "10.0 (?)", "1000 (?)", "30 (?)", "0%"]


def test_show_says_once_why_several_are_not_fitted(tmp_path: Path) -> None:
    text = " ".join(grown(made_up(tmp_path / "r.json", clients=(1, 8, 128)), 80).split())
    assert "How throughput grows" not in text
    names = "; ".join(f"{one}, short" for one in ("sync", "async", "async-uvloop", "floor"))
    assert f"no fit for {names}: measured at 3 N, 5 are needed" in text


def test_a_peak_below_the_measured_n_is_said_to_be(tmp_path: Path) -> None:
    throughput = law((8, 16, 32, 64, 128), sigma=0.1, kappa=0.1)
    records = [
        steady_record(Case("async", "short", n), number, latency_ns=round(n / value * 1e9))
        for number in range(2)
        for n, value in throughput.items()
    ]
    text = grown(load_summary(save(tmp_path / "r.json", records)))
    assert cells(text, "async")[3] == "<8"


def test_show_prints_them_for_those_who_ask(tmp_path: Path) -> None:
    usual = reading(made_up(tmp_path / "r.json"))
    assert "How throughput grows" not in printed(partial(print_summary, usual), 100)
    asked = printed(partial(print_summary, usual, parts=("scaling",), legend=True), 100)
    assert "How throughput grows" in asked
    assert "Universal scalability law. lambda: " in asked
    assert "Medians over the runs" not in asked


def test_the_same_as_data(tmp_path: Path) -> None:
    summary = made_up(tmp_path / "r.json")
    data = json.loads(json.dumps(as_data(reading(summary))["scalability"]))
    by_manager = {one["manager"]: one for one in data}
    assert set(by_manager) == {"sync", "async", "async-uvloop", "floor"}
    one = by_manager["async"]
    assert (one["group"], one["measured"], one["why_not"]) == ("short", list(CLIENTS), None)
    assert one["fit"]["sigma"]["value"] == pytest.approx(0.1, rel=1e-3)
    assert one["fit"]["peak"]["clients"] == pytest.approx(30, rel=1e-3)
    assert by_manager["async-uvloop"]["fit"]["peak"]["clients"] is None
    assert by_manager["floor"]["fit"] is None
    assert "nearest curve" in by_manager["floor"]["why_not"]


def test_compare_gives_those_of_both_sides(tmp_path: Path) -> None:
    base, changed = made_up(tmp_path / "a.json"), made_up(tmp_path / "b.json", clients=(1, 8, 128))
    data = json.loads(json.dumps(comparison_data(compare(base, changed))))
    assert [one["fit"] is None for one in data["base"]["scalability"]].count(False) == 3
    assert all(one["fit"] is None for one in data["changed"]["scalability"])
    assert "crossovers" in data["base"]


def test_an_interval_that_says_nothing_is_not_printed_as_a_fit(tmp_path: Path) -> None:
    """Each round follows the law; together they say nothing about which one it is."""
    laws = [law(sigma=0.1, kappa=kappa) for kappa in (0.0, 0.00001, 0.02, 0.00001)]
    throughput: dict[int, ByRound] = {
        n: {at: one[n] for at, one in enumerate(laws)} for n in CLIENTS
    }
    assert "kappa" in fit(throughput).undetermined
    records = [
        steady_record(Case("async", "short", n), number, latency_ns=round(n / value * 1e9))
        for n, by_round in throughput.items()
        for number, value in by_round.items()
    ]
    text = " ".join(grown(load_summary(save(tmp_path / "r.json", records))).split())
    assert "no fit for async, short: the 95 % CI of " in text
    assert "How throughput grows" not in text
    assert fit(law(sigma=0.1, kappa=0.001)).undetermined == ()
