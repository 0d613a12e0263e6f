"""What drives a neuron: methods that explain a neuron of a layer instead of an output.

Each is the method of the same name on the section of the model that ends at the neuron's layer; what comes after it is
not computed. :class:`attriscope.attr.At` does the same for any method.
"""
