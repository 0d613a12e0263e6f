"""Families of operations, by their names in autograd's graph."""

from __future__ import annotations


def names(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


_MOVES = names("""
    View UnsafeView Reshape ReshapeAlias Alias Clone Contiguous ToCopy CopyBackwards Expand Squeeze Unsqueeze Transpose
    T Mt Permute Movedim Slice Select Diagonal AsStrided Unfold Unbind Split SplitWithSizes UnsafeSplit
    UnsafeSplitWithSizes Chunk Narrow Flip Roll Rot90 Repeat RepeatInterleave Tril Triu ConstantPadNd ReflectionPad1D
    ReflectionPad2D ReflectionPad3D ReplicationPad1D ReplicationPad2D ReplicationPad3D PixelShuffle PixelUnshuffle
    ChannelShuffle NativeChannelShuffle Im2Col Col2Im Neg Real Imag ViewAsReal ViewAsComplex
    Swapaxes Trace DiagEmbed Conj ConjPhysical ResolveConj Positive PackPaddedSequence Zero Deg2Rad Rad2Deg
""")
_SUMS = names("""
    Sum Mean Nansum Cumsum AvgPool1D AvgPool2D AvgPool3D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D
    MkldnnAdaptiveAvgPool2D UpsampleNearest1D UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact1D
    UpsampleNearestExact2D UpsampleNearestExact3D UpsampleLinear1D UpsampleBilinear2D UpsampleBilinear2DAa
    UpsampleTrilinear3D UpsampleBicubic2D UpsampleBicubic2DAa FftR2C FftC2C FftC2R AffineGridGenerator UnfoldBackward
""")
LINEAR = _MOVES + _SUMS
"""Of one tensor, whatever their other arguments: every method passes what autograd passes."""

JOINS = names("""
    Add Sub Rsub Cat Stack Index IndexSelect Gather Take TakeAlongDim Scatter ScatterAdd IndexAdd IndexCopy
    SelectScatter SliceScatter NativeDropout Embedding MaskedSelect MaskedScatter Put Copy Fill Complex
    DiagonalScatter MaxUnpool2D MaxUnpool3D NllLoss NllLoss2D BlockDiag
""")
"""Linear, but a constant among their tensors must be the same in two passes that are compared."""

NORMS_BY_RUNNING_STATISTICS = names("""
    NativeBatchNorm CudnnBatchNorm MiopenBatchNorm BatchNormWithUpdate NativeBatchNormLegitNoTraining
""")
"""Linear in evaluation mode only."""

FACTORS = names("""
    Mm Bmm Mv Dot Vdot Addmm Addbmm Baddbmm Addmv Addr Linear Convolution ConvolutionOverrideable MkldnnConvolution
    CudnnConvolution CudnnConvolutionTranspose ConvDepthwise2D ConvDepthwise3D SlowConv2D SlowConv3D
    SlowConvTranspose2D SlowConvTranspose3D ThnnConv2D ConvTbc Outer LinalgCross
""")
"""Linear in each of two tensors: an activation and a parameter, or two activations."""

PIECEWISE_LINEAR = names("Relu LeakyRelu PreluKernel RreluWithNoise Abs")
"""Of one number; its gradient times that number is the output."""

CURVED = names("""
    Threshold Hardtanh Elu Celu Gelu Silu Mish Hardswish Hardsigmoid Sigmoid LogSigmoid Tanh Softplus Hardshrink
    Softshrink Exp Expm1 Exp2 Log Log1P Log2 Log10 Sqrt Rsqrt Reciprocal Square Sin Cos Tan Asin Acos Atan Sinh Cosh
    Asinh Acosh Atanh Erf Erfc Erfinv Sinc Lgamma Digamma Logit Floor Ceil Round Trunc Frac Sign Sgn Clamp ClampMin
    ClampMax NanToNum I0 SpecialEntr SpecialErfcx SpecialI1 SpecialNdtr SpecialI0E SpecialI1E SpecialLogNdtr
    SpecialNdtri Polygamma Mvlgamma Angle Frexp
""")
"""Other functions of one number."""

OF_TWO = names("""
    Maximum Minimum Fmax Fmin Atan2 Xlogy SpecialXlog1Py Hypot Logaddexp Logaddexp2 Copysign Fmod Remainder SpecialZeta
    Igamma Igammac
""")
"""Other functions of two numbers."""

PLACED = names("GridSampler2D GridSampler3D ScatterReduce IndexReduce SegmentReduce")
"""They sample or add up at places."""

ACTIVATIONS_OF_PACKAGES = names("""
    transformers.models.bloom.modeling_bloom.GeLUFunction efficientnet_pytorch.utils.SwishImplementation
    timm.layers.activations_me.SwishAutoFn timm.layers.activations_me.MishAutoFn
    timm.layers.activations_me.HardSigmoidAutoFn timm.layers.activations_me.HardSwishAutoFn
    timm.layers.activations_me.HardMishAutoFn timm.layers.activations_me.SwishJitAutoFn
    timm.layers.activations_me.MishJitAutoFn timm.layers.activations_me.HardSigmoidJitAutoFn
    timm.layers.activations_me.HardSwishJitAutoFn timm.layers.activations_me.HardMishJitAutoFn
""")
"""Classes derived from ``torch.autograd.Function``, functions of the one tensor that they save."""

WINDOWED = names("""
    MaxPool2DWithIndices MaxPool3DWithIndices AdaptiveMaxPool2D AdaptiveMaxPool3D FractionalMaxPool2D
    FractionalMaxPool3D Max Min
""")
"""They pick a number, and give its place as a second output."""
