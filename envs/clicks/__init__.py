"""Click models: how examination becomes clicks. Fitted from logs, evaluated on logs, and plugged in as users.

Chuklin, Markov & de Rijke, "Click Models for Web Search" (2015), collect the models; each class names its own
paper. The formulas of the marginal and conditional click probabilities are the field's standard ones.

In all models C_r = E_r A_r: position r is clicked if it is examined and its item attracts. The models differ in
the examination E_r:

    RCM, DocumentCTR, RankCTR, PBM      independent of the other positions         (``_PositionModel``)
    CascadeModel, DCM, SDBN, DBN, CCM   the user goes down the list until leaving  (``_BrowsingModel``)
    UBM                                 depends on the last position clicked

What they share is in ``model.py``, their estimation in ``counts.py`` and ``em.py``, how far off an
estimate may be in ``errors.py``.
"""

from .browsing import CCM, DBN, DCM, SDBN, CascadeModel
from .errors import standard_errors
from .log import ClickLog
from .model import ClickModel, Perplexity
from .positions import PBM, RCM, DocumentCTR, RankCTR
from .ubm import UBM

__all__ = [
    "CCM",
    "DBN",
    "DCM",
    "PBM",
    "RCM",
    "SDBN",
    "UBM",
    "CascadeModel",
    "ClickLog",
    "ClickModel",
    "DocumentCTR",
    "Perplexity",
    "RankCTR",
    "standard_errors",
]
