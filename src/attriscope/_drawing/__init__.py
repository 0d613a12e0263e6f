"""Primitives of figures: scales, images, series, text. Knows no method and no metric.

Public as :mod:`attriscope.attr.visualization`; :mod:`attriscope.plots` builds its figures of these.
"""
