from __future__ import annotations

from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge

BASELINES: dict[str, Fitted] = {
    "mean": Mean(),
    "linear": PCARidge(degree=1),
    "quadratic": PCARidge(degree=2),
}
"""What an evaluation measures a model against, by the name under which it lists them."""
