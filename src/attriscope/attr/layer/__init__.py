"""Methods that attribute to a layer's units, one file for each method that has such a form.

Those that vary a layer run a method on the section of the model that starts there
(:func:`attriscope.attr.at.each_layer`), as :class:`attriscope.attr.At` does for any method; the others read values and
gradients at layers while the inputs vary.
"""
