"""Is the explanation any good? Metrics of explanations, and sanity checks.

:func:`evaluate` judges several methods by several metrics. Every metric is a function on tensors that gives one number
per example, (N,), or an object that holds such. Where an explanation is asked for, attributions, a method such as
``Saliency(model)``, a pair of a method and a dict of its options, or a function will do.

=================  ==========================================================================================
faithfulness       :func:`deletion`, :func:`insertion`, :func:`pixel_flipping`, :func:`region_perturbation`,
                   :func:`road`, :func:`road_combined`, :func:`comprehensiveness`, :func:`sufficiency`,
                   :func:`sensitivity_n`, :func:`faithfulness_correlation`, :func:`faithfulness_estimate`,
                   :func:`monotonicity`, :func:`infidelity`
robustness         :func:`sensitivity_max`, :func:`sensitivity_average`, :func:`local_lipschitz`
randomisation      :func:`parameter_randomisation`, :func:`randomisation_complexity`
localisation       :func:`pointing_game`, :func:`relevance_mass_accuracy`, :func:`relevance_rank_accuracy`,
                   :func:`attribution_localisation`, on pictures with masks or :func:`grid_pointing_games`
complexity         :func:`sparseness`, :func:`entropy`, :func:`effective_complexity`
axioms             :func:`completeness_gap`, :func:`implementation_invariance`, :func:`input_invariance`,
                   :func:`non_sensitivity`
controls           :func:`random_attribution`, :func:`edge_detector`
=================  ==========================================================================================

``infidelity``, ``infidelity_perturb_func_decorator`` and ``sensitivity_max`` have Captum's names and signatures.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attriscope.metrics._arguments import UndefinedMetricError as UndefinedMetricError
    from attriscope.metrics._model_outputs import probabilities as probabilities
    from attriscope.metrics.axioms import completeness_gap as completeness_gap
    from attriscope.metrics.axioms import implementation_invariance as implementation_invariance
    from attriscope.metrics.axioms import input_invariance as input_invariance
    from attriscope.metrics.axioms import non_sensitivity as non_sensitivity
    from attriscope.metrics.catalogue import CATALOGUE as CATALOGUE
    from attriscope.metrics.catalogue import Case as Case
    from attriscope.metrics.catalogue import Metric as Metric
    from attriscope.metrics.complexity import effective_complexity as effective_complexity
    from attriscope.metrics.complexity import entropy as entropy
    from attriscope.metrics.complexity import sparseness as sparseness
    from attriscope.metrics.control_attributions import edge_detector as edge_detector
    from attriscope.metrics.control_attributions import random_attribution as random_attribution
    from attriscope.metrics.evaluation import evaluate as evaluate
    from attriscope.metrics.faithfulness import comprehensiveness as comprehensiveness
    from attriscope.metrics.faithfulness import faithfulness_correlation as faithfulness_correlation
    from attriscope.metrics.faithfulness import faithfulness_estimate as faithfulness_estimate
    from attriscope.metrics.faithfulness import monotonicity as monotonicity
    from attriscope.metrics.faithfulness import sensitivity_n as sensitivity_n
    from attriscope.metrics.faithfulness import sufficiency as sufficiency
    from attriscope.metrics.feature_masks import patch_mask as patch_mask
    from attriscope.metrics.feature_masks import pixel_mask as pixel_mask
    from attriscope.metrics.feature_masks import token_mask as token_mask
    from attriscope.metrics.fidelity import gaussian_perturbation as gaussian_perturbation
    from attriscope.metrics.fidelity import infidelity as infidelity
    from attriscope.metrics.fidelity import (
        infidelity_perturb_func_decorator as infidelity_perturb_func_decorator,
    )
    from attriscope.metrics.fidelity import removal_perturbation as removal_perturbation
    from attriscope.metrics.grid_pointing_game import GridGames as GridGames
    from attriscope.metrics.grid_pointing_game import grid_pointing_games as grid_pointing_games
    from attriscope.metrics.linear_imputation import impute_linearly as impute_linearly
    from attriscope.metrics.localisation import attribution_localisation as attribution_localisation
    from attriscope.metrics.localisation import pointing_game as pointing_game
    from attriscope.metrics.localisation import relevance_mass_accuracy as relevance_mass_accuracy
    from attriscope.metrics.localisation import relevance_rank_accuracy as relevance_rank_accuracy
    from attriscope.metrics.perturbation_curves import Curve as Curve
    from attriscope.metrics.perturbation_curves import deletion as deletion
    from attriscope.metrics.perturbation_curves import insertion as insertion
    from attriscope.metrics.perturbation_curves import pixel_flipping as pixel_flipping
    from attriscope.metrics.perturbation_curves import region_perturbation as region_perturbation
    from attriscope.metrics.perturbation_curves import road as road
    from attriscope.metrics.perturbation_curves import road_combined as road_combined
    from attriscope.metrics.randomisation import Randomisation as Randomisation
    from attriscope.metrics.randomisation import parameter_randomisation as parameter_randomisation
    from attriscope.metrics.randomisation import randomisation_complexity as randomisation_complexity
    from attriscope.metrics.robustness import local_lipschitz as local_lipschitz
    from attriscope.metrics.robustness import sensitivity_average as sensitivity_average
    from attriscope.metrics.robustness import sensitivity_max as sensitivity_max
    from attriscope.metrics.table import Cost as Cost
    from attriscope.metrics.table import Loss as Loss
    from attriscope.metrics.table import Table as Table

_HOME = {
    "CATALOGUE": "catalogue",
    "Case": "catalogue",
    "Cost": "table",
    "Curve": "perturbation_curves",
    "GridGames": "grid_pointing_game",
    "Loss": "table",
    "Metric": "catalogue",
    "Randomisation": "randomisation",
    "Table": "table",
    "UndefinedMetricError": "_arguments",
    "attribution_localisation": "localisation",
    "completeness_gap": "axioms",
    "comprehensiveness": "faithfulness",
    "deletion": "perturbation_curves",
    "edge_detector": "control_attributions",
    "effective_complexity": "complexity",
    "entropy": "complexity",
    "evaluate": "evaluation",
    "faithfulness_correlation": "faithfulness",
    "faithfulness_estimate": "faithfulness",
    "gaussian_perturbation": "fidelity",
    "grid_pointing_games": "grid_pointing_game",
    "implementation_invariance": "axioms",
    "impute_linearly": "linear_imputation",
    "infidelity": "fidelity",
    "infidelity_perturb_func_decorator": "fidelity",
    "input_invariance": "axioms",
    "insertion": "perturbation_curves",
    "local_lipschitz": "robustness",
    "monotonicity": "faithfulness",
    "non_sensitivity": "axioms",
    "parameter_randomisation": "randomisation",
    "patch_mask": "feature_masks",
    "pixel_flipping": "perturbation_curves",
    "pixel_mask": "feature_masks",
    "pointing_game": "localisation",
    "probabilities": "_model_outputs",
    "random_attribution": "control_attributions",
    "randomisation_complexity": "randomisation",
    "region_perturbation": "perturbation_curves",
    "relevance_mass_accuracy": "localisation",
    "relevance_rank_accuracy": "localisation",
    "removal_perturbation": "fidelity",
    "road": "perturbation_curves",
    "road_combined": "perturbation_curves",
    "sensitivity_average": "robustness",
    "sensitivity_max": "robustness",
    "sensitivity_n": "faithfulness",
    "sparseness": "complexity",
    "sufficiency": "faithfulness",
    "token_mask": "feature_masks",
}

__all__ = [
    "CATALOGUE",
    "Case",
    "Cost",
    "Curve",
    "GridGames",
    "Loss",
    "Metric",
    "Randomisation",
    "Table",
    "UndefinedMetricError",
    "attribution_localisation",
    "completeness_gap",
    "comprehensiveness",
    "deletion",
    "edge_detector",
    "effective_complexity",
    "entropy",
    "evaluate",
    "faithfulness_correlation",
    "faithfulness_estimate",
    "gaussian_perturbation",
    "grid_pointing_games",
    "implementation_invariance",
    "impute_linearly",
    "infidelity",
    "infidelity_perturb_func_decorator",
    "input_invariance",
    "insertion",
    "local_lipschitz",
    "monotonicity",
    "non_sensitivity",
    "parameter_randomisation",
    "patch_mask",
    "pixel_flipping",
    "pixel_mask",
    "pointing_game",
    "probabilities",
    "random_attribution",
    "randomisation_complexity",
    "region_perturbation",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "removal_perturbation",
    "road",
    "road_combined",
    "sensitivity_average",
    "sensitivity_max",
    "sensitivity_n",
    "sparseness",
    "sufficiency",
    "token_mask",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"attriscope.metrics.{_HOME[name]}"), name)
    raise AttributeError(f"module 'attriscope.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
