"""Parameters of a model from a recorded series: by gradient where the model has one, by search where it has none.

Both ask for ``simulate(parameters, seed)``, which runs the model and returns the series that it would have recorded,
and return a ``Fit``: an estimate, a weighted sample of parameters that agree with the record, and how it went. Neither
knows what the model is. Their intervals hold if the model is right; whether it is, a look at simulations under
``fit.draw`` beside the record tells.
"""

from .fit import Bounds, Fit, Simulate
from .gradient import fit_by_gradient
from .relaxed_draws import Parameter, RelaxedDraws
from .search import fit_by_search

__all__ = ["Bounds", "Fit", "Parameter", "RelaxedDraws", "Simulate", "fit_by_gradient", "fit_by_search"]
