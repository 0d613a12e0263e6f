"""Methods that only need outputs, one file each: ablation, permutation, occlusion, Shapley values, Lime.

A method makes a plan of what it wants to know, and :mod:`attriscope.attr.perturbation._runner` carries it out. Which
elements of the inputs are one feature is said in :mod:`attriscope.attr._features`; methods that give one number to each
feature are games of coalitions (:mod:`attriscope.attr.perturbation._game`).
"""
