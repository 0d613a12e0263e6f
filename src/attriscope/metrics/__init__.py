"""Is the explanation any good? Metrics of explanations, and sanity checks.

:func:`evaluate` judges several methods by several metrics. Every metric is a function on tensors that gives one number
per example, (N,), or an object that holds such. Where an explanation is asked for, attributions, a method such as
``Saliency(model)``, a pair of a method and a dict of its options, or a function will do.

=====================================================  ================================================================
:mod:`~attriscope.metrics.perturbation_curves`         faithfulness: deletion, insertion and their like, as curves
:mod:`~attriscope.metrics.faithfulness`                faithfulness: numbers from removing features
:mod:`~attriscope.metrics.fidelity`                    faithfulness: infidelity, and its perturbations
:mod:`~attriscope.metrics.robustness`                  what an explanation does when the input hardly changes
:mod:`~attriscope.metrics.randomisation`               what it does when the parameters become random
:mod:`~attriscope.metrics.localisation`                whether it lies on the object, in pictures with masks or in
                                                       :mod:`~attriscope.metrics.grid_pointing_game`
:mod:`~attriscope.metrics.complexity`                  how concentrated it is
:mod:`~attriscope.metrics.axioms`                      completeness, and the invariances
:mod:`~attriscope.metrics.control_attributions`        explanations that know nothing of the model, to compare with
=====================================================  ================================================================

:data:`CATALOGUE` has those that :func:`evaluate` and the Explorer know by name; each says what it measures in its
``summary``. A metric of one's own joins them by :func:`register`. ``infidelity``,
``infidelity_perturb_func_decorator`` and ``sensitivity_max`` have Captum's names and signatures.
"""

import types

# Importing a metric registers it. The order of these parts is that of the catalogue.
from attriscope.metrics.perturbation_curves import Curve as Curve
from attriscope.metrics.perturbation_curves import deletion as deletion
from attriscope.metrics.perturbation_curves import insertion as insertion
from attriscope.metrics.perturbation_curves import pixel_flipping as pixel_flipping
from attriscope.metrics.perturbation_curves import region_perturbation as region_perturbation
from attriscope.metrics.perturbation_curves import road as road
from attriscope.metrics.perturbation_curves import road_combined as road_combined

# isort: split
from attriscope.metrics.faithfulness import comprehensiveness as comprehensiveness
from attriscope.metrics.faithfulness import faithfulness_correlation as faithfulness_correlation
from attriscope.metrics.faithfulness import faithfulness_estimate as faithfulness_estimate
from attriscope.metrics.faithfulness import monotonicity as monotonicity
from attriscope.metrics.faithfulness import sensitivity_n as sensitivity_n
from attriscope.metrics.faithfulness import sufficiency as sufficiency

# isort: split
from attriscope.metrics.fidelity import gaussian_perturbation as gaussian_perturbation
from attriscope.metrics.fidelity import infidelity as infidelity
from attriscope.metrics.fidelity import (
    infidelity_perturb_func_decorator as infidelity_perturb_func_decorator,
)
from attriscope.metrics.fidelity import removal_perturbation as removal_perturbation

# isort: split
from attriscope.metrics.robustness import local_lipschitz as local_lipschitz
from attriscope.metrics.robustness import sensitivity_average as sensitivity_average
from attriscope.metrics.robustness import sensitivity_max as sensitivity_max

# isort: split
from attriscope.metrics.randomisation import Randomisation as Randomisation
from attriscope.metrics.randomisation import parameter_randomisation as parameter_randomisation
from attriscope.metrics.randomisation import randomisation_complexity as randomisation_complexity

# isort: split
from attriscope.metrics.localisation import attribution_localisation as attribution_localisation
from attriscope.metrics.localisation import pointing_game as pointing_game
from attriscope.metrics.localisation import relevance_mass_accuracy as relevance_mass_accuracy
from attriscope.metrics.localisation import relevance_rank_accuracy as relevance_rank_accuracy

# isort: split
from attriscope.metrics.complexity import effective_complexity as effective_complexity
from attriscope.metrics.complexity import entropy as entropy
from attriscope.metrics.complexity import sparseness as sparseness

# isort: split
from attriscope.metrics.axioms import completeness_gap as completeness_gap
from attriscope.metrics.axioms import implementation_invariance as implementation_invariance
from attriscope.metrics.axioms import input_invariance as input_invariance
from attriscope.metrics.axioms import non_sensitivity as non_sensitivity

# isort: split
# What metrics are made of, asked by, and compared with.
from attriscope.metrics._model_outputs import probabilities as probabilities
from attriscope.metrics.base import CATALOGUE as CATALOGUE
from attriscope.metrics.base import Case as Case
from attriscope.metrics.base import Metric as Metric
from attriscope.metrics.base import UndefinedMetricError as UndefinedMetricError
from attriscope.metrics.base import register as register
from attriscope.metrics.control_attributions import edge_detector as edge_detector
from attriscope.metrics.control_attributions import random_attribution as random_attribution
from attriscope.metrics.evaluation import evaluate as evaluate
from attriscope.metrics.feature_masks import patch_mask as patch_mask
from attriscope.metrics.feature_masks import pixel_mask as pixel_mask
from attriscope.metrics.feature_masks import token_mask as token_mask
from attriscope.metrics.grid_pointing_game import GridGames as GridGames
from attriscope.metrics.grid_pointing_game import grid_pointing_games as grid_pointing_games
from attriscope.metrics.linear_imputation import impute_linearly as impute_linearly
from attriscope.metrics.table import Cost as Cost
from attriscope.metrics.table import Loss as Loss
from attriscope.metrics.table import Table as Table

# Whatever is imported above is public.
__all__ = sorted(
    name
    for name, value in globals().items()
    if not name.startswith("_") and not isinstance(value, types.ModuleType)
)


def __dir__() -> list[str]:
    return __all__
