"""Rules by which DeepLift, LRP, GuidedBackprop and Deconvolution pass something back through an operation.

Each of these methods has a table, ``rules``, from operations to rules. To add one::

    from attriscope.attr import DeepLift, LRP
    from attriscope.attr.rules import linear, rescale

    class Swish(torch.autograd.Function): ...   # saves its input

    DeepLift.rules[Swish] = rescale             # a class derived from torch.autograd.Function,
    LRP.rules["Nanmedian"] = linear             # or the name that the error message says
    DeepLift(model, rules={"Nanmedian": linear})  # for one explanation only

A rule of your own is a function. It gets the :class:`Step` (arguments and outputs in the pass for the input, and in
``step.reference`` those for the baseline), what autograd would pass to each input, and what arrived at each output::

    def rescale(step, gradients, incoming):
        change = step.inputs[0] - step.reference.inputs[0]
        return [incoming[0] * (step.outputs[0] - step.reference.outputs[0]) / change]

Wrap it in :class:`Rule` to say which values of the forward pass it needs; by default all of the operation are kept.
"""

from attriscope.attr.rules.decompositions import decomposed
from attriscope.attr.rules.deep_lift import DEEPLIFT, linear, midpoint, pairwise, rescale
from attriscope.attr.rules.guided import DECONVOLUTION, GUIDED
from attriscope.attr.rules.lrp import LRP_RULES, through
from attriscope.core.propagation import Rule, Rules, Step

__all__ = [
    "DECONVOLUTION",
    "DEEPLIFT",
    "GUIDED",
    "LRP_RULES",
    "Rule",
    "Rules",
    "Step",
    "decomposed",
    "linear",
    "midpoint",
    "pairwise",
    "rescale",
    "through",
]
