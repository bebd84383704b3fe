"""Click models: how fast they are fitted and whether the fits agree, beside PyClick.

Run: python benchmarks/sessions/click_models.py  (about five minutes on one CPU core with PyClick, seconds without)
     python benchmarks/sessions/click_models.py --help

Both sides get the same log in the form they work on, made outside the clock, and as many rounds of EM. PyClick fits
a part of the log, whose size follows from its speed, since its time is proportional to the rows. CPU seconds of one
thread; the ratio is the median over repeats of paired runs.
"""

import argparse
import importlib
import statistics
import time
from typing import Any

import numpy as np
import torch

from ethogram.envs.clicks import (
    CCM,
    DBN,
    DCM,
    PBM,
    RCM,
    SDBN,
    UBM,
    CascadeModel,
    ClickLog,
    DocumentCTR,
    RankCTR,
)
from ethogram.simulator.draws import Draws

POSITIONS = 10  # PyClick's own limit

# ours, PyClick's module and class, rounds of EM, rows that PyClick fits
CASES: list[tuple[Any, str, str, int | None, int]] = [
    (RCM, "CTR", "GCTR", None, 20_000),
    (RankCTR, "CTR", "RCTR", None, 20_000),
    (DocumentCTR, "CTR", "DCTR", None, 20_000),
    (CascadeModel, "CM", "CM", None, 20_000),
    (DCM, "DCM", "DCM", None, 20_000),
    (SDBN, "SDBN", "SDBN", None, 20_000),
    (PBM, "PBM", "PBM", 50, 1_000),
    (UBM, "UBM", "UBM", 50, 1_000),
    (DBN, "DBN", "DBN", 2, 250),
    (CCM, "CCM", "CCM", 2, 100),
]
PYCLICK = """PyClick is not importable: its column is left out. It is not the `pyclick` of PyPI. To have it:
    git clone https://github.com/markovi/PyClick && PYTHONPATH=PyClick python benchmarks/sessions/click_models.py"""


def make_log(rows: int, num_states: int, num_items: int) -> ClickLog:
    """DBN users who are shown uniform slates; several clicks a row."""
    draws = Draws(0, torch.arange(rows))
    state = (draws.uniform("state") * num_states).long()
    slates = draws.uniform("slate", num_items).argsort(1)[:, :POSITIONS].contiguous()
    table = Draws(1, torch.arange(num_states)).uniform("tables", 2 * num_items).double()
    user = DBN(0.05 + 0.5 * table[:, :num_items], 0.2 + 0.6 * table[:, num_items:], 0.9)
    return ClickLog(state, slates, user.act({"state": state, "slate": slates}, None, draws))


def sessions(log: ClickLog) -> list[Any]:
    """The log as PyClick's objects."""
    search = importlib.import_module("pyclick.search_session")
    out = []
    for state, slate, clicks in zip(log.state.tolist(), log.slates.tolist(), log.clicks.tolist(), strict=True):
        session = search.SearchSession(state)
        session.web_results = [search.SearchResult(i, int(c)) for i, c in zip(slate, clicks, strict=True)]
        out.append(session)
    return out


def timed(function: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def fit_theirs(module: str, name: str, rounds: int | None, data: list[Any]) -> Any:
    model = getattr(importlib.import_module(f"pyclick.click_models.{module}"), name)()
    if rounds is not None:
        model._inference = importlib.import_module("pyclick.click_models.Inference").EMInference(rounds)
    model.train(data)
    return model


def differences(ours: Any, theirs: Any, log: ClickLog, data: list[Any]) -> tuple[float, float]:
    """Largest difference of a marginal click probability on the log, and the difference in perplexity."""
    evaluation = importlib.import_module("pyclick.click_models.Evaluation")
    marginal = np.array([theirs.get_full_click_probs(session) for session in data])
    difference = np.abs(ours.click_probability(log.state, log.slates).numpy() - marginal).max()
    perplexity = evaluation.Perplexity().evaluate(theirs, data)[0]
    return float(difference), ours.perplexity(log).overall - perplexity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog=PYCLICK, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of our log (default 100,000)")
    parser.add_argument("--states", type=int, default=20, help="user states, PyClick's queries (default 20)")
    parser.add_argument("--items", type=int, default=50, help="items (default 50), of which 10 are shown")
    parser.add_argument("--repeats", type=int, default=3, help="paired runs of each fit (default 3)")
    parser.add_argument("--models", nargs="+", help="only these, such as PBM UBM")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        importlib.import_module("pyclick.click_models.PBM")
        peer = True
    except ImportError:
        peer = False
        print(PYCLICK)
    log = make_log(arguments.rows, arguments.states, arguments.items)
    data = sessions(log[: max(case[-1] for case in CASES)]) if peer else []
    print(f"{len(log):,} rows of {POSITIONS} positions, {arguments.states} states x {arguments.items} items, ", end="")
    print(f"{float(log.clicks.sum(1).double().mean()):.2f} clicks a row; rows per CPU second")
    print(f"{'model':13}{'EM rounds':>10}{'ours':>14}{'PyClick':>10}{'ratio':>9}{'|dP(C)|':>10}{'d perplexity':>14}")
    for kind, module, name, rounds, rows in CASES:
        if arguments.models and kind.__name__ not in arguments.models:
            continue
        rows = min(rows, len(log))
        em = {} if rounds is None else {"iterations": rounds, "tolerance": -1.0}

        def fit(part: ClickLog, kind: Any = kind, em: dict[str, Any] = em) -> Any:
            return kind.fit(part, arguments.states, arguments.items, **em)

        fit(log[:100])  # compile
        ours, theirs, ratios, agreement = [], [], [], ""
        for _ in range(arguments.repeats):
            repeats = max(1, 1_000_000 // len(log)) if rounds is None else 1
            seconds, _ = timed(lambda: [fit(log) for _ in range(repeats)])  # noqa: B023
            ours.append(len(log) * repeats / seconds)
            if peer:
                seconds, model = timed(lambda: fit_theirs(module, name, rounds, data[:rows]))  # noqa: B023
                theirs.append(rows / seconds)
                ratios.append(ours[-1] / theirs[-1])
        if peer:
            chance, perplexity = differences(fit(log[:rows]), model, log[:rows], data[:rows])
            agreement = f"{chance:10.1e}{perplexity:14.1e}"
        columns = f"{kind.__name__:13}{rounds or '-':>10}{statistics.median(ours):14,.0f}"
        if peer:
            columns += f"{statistics.median(theirs):10,.0f}{statistics.median(ratios):8,.0f}x"
        print(columns + agreement, flush=True)
    if peer:
        print("DBN and CCM differ: ours is EM on the exact likelihood, PyClick's is not (see docs/click_models.md).")


if __name__ == "__main__":
    main()
