"""What the popular account of mixup says, each statement with the claims that decide it; one file a theme.

The statements are those usually made, in our words. A verdict is computed from the claims, never written
here; where no claim is named, the chapter that will decide it is.
"""

from mixtheory.theory.accounts import data, lines, regularisation  # isort: skip  (in the order of the account)
from mixtheory.theory.accounts import bias_variance, curvature, gradients  # isort: skip
from mixtheory.theory.accounts import calibration, labels  # isort: skip
from mixtheory.theory.accounts import domains, hidden  # isort: skip
from mixtheory.theory.accounts import active_learning, membership, robustness  # isort: skip
from mixtheory.theory.accounts import real_networks  # isort: skip

__all__ = ["active_learning", "bias_variance", "calibration", "curvature", "data", "domains", "gradients", "hidden",
           "labels", "lines", "membership", "real_networks", "regularisation", "robustness"]
