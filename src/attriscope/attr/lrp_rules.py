"""Rules of layer-wise relevance propagation for single modules, to be set as ``module.rule`` or given to ``LRP``.

The public address of what :mod:`attriscope.attr.rules.modules` and :mod:`attriscope.attr.rules.composites` define.
"""

from attriscope.attr.rules.composites import composite
from attriscope.attr.rules.modules import (
    Alpha1_Beta0_Rule,
    AlphaBetaRule,
    EpsilonRule,
    GammaRule,
    IdentityRule,
    PropagationRule,
)

__all__ = [
    "Alpha1_Beta0_Rule",
    "AlphaBetaRule",
    "EpsilonRule",
    "GammaRule",
    "IdentityRule",
    "PropagationRule",
    "composite",
]
