"""Fit_by_sbi: the network estimators of the package sbi behind the same question."""

from typing import Any

import torch
from tqdm import tqdm

from ..arguments import checked_int
from .fit import (
    IMPLAUSIBLE,
    Bounds,
    Fit,
    Simulate,
    checked,
    concluded,
    plausibility,
    series_of,
    weighted_quantile,
)


def fit_by_sbi(
    simulate: Simulate,
    observed: Any,
    bounds: Bounds,
    *,
    simulations: int = 2000,
    seed: int = 0,
    progress: bool = True,
) -> Fit:
    """The posterior under a uniform prior by neural posterior estimation, with the package ``sbi`` (0.27 or newer).

    Its NPE with its defaults (Tejero-Cantero et al., JOSS 2020): a normalising flow is trained on ``simulations`` drawn
    from the prior, less 100, with which the result is checked as by ``fit_by_search``. Arguments, seeds and the result
    are those of that function too, without a trace. torch's global generator is left as it was; training may differ
    from machine to machine.

    Raises ImportError where sbi is missing: ``pip install 'ethogram[sbi]'``.

    sbi writes the curves of its training to the folder sbi-logs where one works.
    """
    try:
        from sbi.inference import NPE
        from sbi.utils import BoxUniform
    except ImportError as error:
        raise ImportError("fit_by_sbi needs the package sbi: pip install 'ethogram[sbi]'") from error
    names, box, observed = checked(simulate, bounds, observed)
    seed, train = checked_int("seed", seed), checked_int("simulations", simulations, 300) - 100
    run = series_of(simulate, observed)

    def series(rows: torch.Tensor, first: int) -> torch.Tensor:
        found = []
        for k, row in enumerate(tqdm(rows.tolist(), disable=not progress, unit="simulation")):
            found.append(run(dict(zip(names, row, strict=True)), (seed << 32) + first + k).detach())
        return torch.stack(found)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        prior = BoxUniform(box[:, 0].float(), box[:, 1].float())
        parameters = prior.sample((train,))
        seen = series(parameters.double(), 0)
        learner = NPE(prior, show_progress_bars=progress)
        learner.append_simulations(parameters, seen.float()).train()
        posterior = learner.build_posterior()
        sample = posterior.sample((4000,), x=observed.float(), show_progress_bars=progress).double()
    predictive = series(sample[:100], train)
    plausible = plausibility(observed, predictive, 0.01 * seen.std(0))
    doubts: tuple[str, ...] = ()
    if plausible < IMPLAUSIBLE:
        doubts = (
            f"the model does not draw the record (plausibility {plausible:.2g}), or the network has not learnt it",
        )
    weight = torch.full((len(sample),), 1 / len(sample), dtype=torch.float64)
    medians = [weighted_quantile(column, weight, 0.5) for column in sample.T]
    estimate = torch.tensor(medians, dtype=torch.float64)
    return concluded(Fit(names, estimate, sample, weight, {}, train + 100, predictive, plausible, doubts=doubts))
