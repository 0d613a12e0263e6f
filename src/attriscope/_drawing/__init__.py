"""The parts of :mod:`attriscope.attr.visualization`."""
