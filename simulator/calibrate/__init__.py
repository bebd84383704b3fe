"""Parameters of a model from a recorded series: by gradient where the model has one, by search where it has none.

All ask for ``simulate(parameters, seed)``, which runs the model and returns the series that it would have recorded,
and return a ``Fit``: an estimate, a weighted sample of parameters that agree with the record, series that it predicts,
how plausible the record is among those, and how it went. None knows what the model is.
"""

from .fit import Bounds, Fit, Simulate
from .gradient import fit_by_gradient
from .neural import fit_by_sbi
from .relaxed_draws import Parameter, RelaxedDraws, balanced, once
from .search import fit_by_search

__all__ = [
    "Bounds",
    "Fit",
    "Parameter",
    "RelaxedDraws",
    "Simulate",
    "balanced",
    "fit_by_gradient",
    "fit_by_sbi",
    "fit_by_search",
    "once",
]
