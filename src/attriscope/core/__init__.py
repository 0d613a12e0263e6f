"""What is explained, and how work is run. Knows no widget, no plot and no method.

From the inside out: :mod:`~attriscope.core.inputs` and :mod:`~attriscope.core.target` (examples, and which number of
the output is explained), :mod:`~attriscope.core.subject` (the function that is explained, and one batch through it),
:mod:`~attriscope.core.evaluate` (a grid of rows, cut into batches), :mod:`~attriscope.core.estimate` and
:mod:`~attriscope.core.progress` (what comes back meanwhile).

What is done to a model for the time of a batch: :mod:`~attriscope.core.hooks` (reading and editing at layers),
:mod:`~attriscope.core.section` (a part of a model as a function), :mod:`~attriscope.core.tape` and
:mod:`~attriscope.core.propagation` (rules of their own on the backward pass).
"""
