"""How the benchmark is told: the table, the page, and the turns in which product and floor are measured."""

from __future__ import annotations

from tests.bench.benchmark import ROWS
from tests.bench.figures import Figure, at_most
from tests.bench.floors.metrics import registry_like
from tests.bench.row import Row, in_turn
from tests.bench.steps import Step
from tests.bench.told import page, table

GOOD = Figure("fast.p50", 2, "ms", 1, 1500, at_most(3))
MISSED = Figure("slow.p50", 4567, "ms", 1000, 5, at_most(3))
TOLD = Figure("writes", 0, "1/min", 0, 1)

SCRAPED = """\
# HELP twinkey_alert Whether an alert holds.
# TYPE twinkey_alert gauge
twinkey_alert{alert="one"} 0.0
twinkey_alert{alert="two"} 1.0
# HELP twinkey_requests_seconds Seconds.
# TYPE twinkey_requests_seconds histogram
twinkey_requests_seconds_bucket{le="1.0",route="/a"} 1.0
twinkey_requests_seconds_bucket{le="+Inf",route="/a"} 1.0
twinkey_requests_seconds_count{route="/a"} 1.0
twinkey_requests_seconds_sum{route="/a"} 0.5
# HELP process_open_fds Files.
# TYPE process_open_fds gauge
process_open_fds 7.0
"""


def test_table() -> None:
    """The table has a line for every figure, in columns, and marks what misses its aim and nothing else."""
    heading, *lines = table([GOOD, MISSED, TOLD]).splitlines()
    assert [line.split()[0] for line in lines] == ["fast.p50", "slow.p50", "writes"]
    assert ["MISSED" in line for line in lines] == [False, True, False]
    assert {line.index("ms") for line in lines[:2]} == {heading.index("unit")}
    assert "4,567" in lines[1]
    assert "4.57" in lines[1]


def test_page() -> None:
    """The page names the machine, every row with its floor and aim, every figure, the peers, and what profiles show."""
    row = Row("fast", "something", "the least", "≤ 3 ×", lambda _: [GOOD])
    steps = [Step("a key", "read", 1.23), Step("a start", "Python", 20.04, 9.76)]
    text = page([row], {"fast": [GOOD]}, steps, {"processor": "a fast one"}, 3, "## Where the time goes\n")
    for part in (
        "| processor | a fast one |",
        "| `fast` | something | the least | ≤ 3 × |",
        "| fast.p50 | 2 | 1 | ms | 2.00 | ≤ 3 × | 1,500 |",
        "lease is 3 s",
        "`loop_wait` 10 s",
        "15 s, renewed within 10 s, tried every 2 s",
        "## Where the time goes",
        "| a key | read | 1.2 | – |",
        "| a start | Python | 20.0 | 9.8 |",
    ):
        assert part in text


def test_names_differ() -> None:
    """Every row has a name of its own, by which it can be asked for."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_turns() -> None:
    """Product and floor are measured as often as each other, and neither is always the first."""
    order = list[str]()
    products, floors = in_turn(3, lambda: order.append("product"), lambda: order.append("floor"))
    assert (len(products), len(floors)) == (3, 3)
    assert order == ["product", "floor", "floor", "product", "product", "floor"]


def test_same_series() -> None:
    """The floor of a scrape has the product's series, labels and all, and process figures of its own."""
    families = {family.name: family for family in registry_like(SCRAPED).collect()}
    assert [sample.labels for sample in families["twinkey_alert"].samples] == [{"alert": "one"}, {"alert": "two"}]
    counts = [each for each in families["twinkey_requests_seconds"].samples if each.name.endswith("_count")]
    assert [each.labels for each in counts] == [{"route": "/a"}]
    assert families["process_cpu_seconds"].samples[0].value > 0
