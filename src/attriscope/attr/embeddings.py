"""Explaining models of tokens at the vectors of their embedding.

:class:`~attriscope.attr.LayerIntegratedGradients`, or :class:`~attriscope.attr.At` with any method, does that without
touching the model; what is here is for methods and code that need vectors as inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.errors import InputError, InputTypeError, LayerError
from attriscope.core.hooks import find_layer, unwrap
from attriscope.core.inputs import describe


class InterpretableEmbeddingBase(nn.Module):
    """Stands in for an embedding in a model and hands on the vectors that the model gets in place of tokens.

    Args:
        embedding: the module it stands for. What is not found here (such as ``weight``) is looked up there.
        full_name: the path of the embedding in the model.
    """

    def __init__(self, embedding: nn.Module, full_name: str) -> None:
        super().__init__()
        self.num_embeddings = getattr(embedding, "num_embeddings", None)
        self.embedding_dim = getattr(embedding, "embedding_dim", None)
        self.embedding = embedding
        self.full_name = full_name
        self.training = embedding.training

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The vectors among the arguments as they are; made by the embedding itself if only tokens came.

        Vectors are the first floating point tensor, by position or keyword: of those that end in ``embedding_dim``, if
        there are any.

        Raises:
            InputError: there is no argument.
        """
        given = (*inputs, *kwargs.values())
        floating = [v for v in given if isinstance(v, Tensor) and v.is_floating_point()]
        size = self.embedding_dim
        for vectors in (*(v for v in floating if v.dim() and v.shape[-1] == size), *floating):
            return vectors
        if not given:
            raise InputError(
                f"the layer {self.full_name!r} was called without arguments; it takes embedding vectors, which "
                "indices_to_embeddings(tokens) makes"
            )
        return self.embedding(*inputs, **kwargs)

    def indices_to_embeddings(self, *input: Any, **kwargs: Any) -> Any:
        """What the embedding itself gives, e.g. vectors (N, length, size) for tokens (N, length)."""
        return self.embedding(*input, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            embedding = self.__dict__.get("_modules", {}).get("embedding")
            if embedding is None:
                raise
            return getattr(embedding, name)


def configure_interpretable_embedding_layer(
    model: nn.Module, embedding_layer_name: str = "embedding"
) -> InterpretableEmbeddingBase:
    """Put an :class:`InterpretableEmbeddingBase` in the place of a model's embedding.

    The model then takes vectors instead of tokens, until :func:`remove_interpretable_embedding_layer` puts the
    embedding back; :func:`interpretable_embedding` does both.

    Args:
        model: the model.
        embedding_layer_name: the path of the embedding in the model, such as ``"encoder.embedding"``.

    Returns:
        The stand-in, whose ``indices_to_embeddings`` makes vectors of tokens and of baselines.

    Raises:
        InputTypeError, LayerError: there is no such layer.
        InputError: the layer has a stand-in already.
    """
    holder, name = _place(model, embedding_layer_name)
    layer = holder.get_submodule(name)
    if isinstance(layer, InterpretableEmbeddingBase):
        raise InputError(
            f"the layer {embedding_layer_name!r} is already interpretable; "
            "remove_interpretable_embedding_layer(model, layer) puts the embedding back"
        )
    stand_in = InterpretableEmbeddingBase(layer, embedding_layer_name)
    setattr(holder, name, stand_in)
    return stand_in


def remove_interpretable_embedding_layer(
    model: nn.Module, interpretable_emb: InterpretableEmbeddingBase
) -> None:
    """Put the embedding back that :func:`configure_interpretable_embedding_layer` replaced.

    Args:
        model: the model.
        interpretable_emb: what that function returned.

    Raises:
        InputTypeError: it is something else.
        LayerError: the model does not have it (any more).
    """
    if not isinstance(interpretable_emb, InterpretableEmbeddingBase):
        raise InputTypeError(
            "interpretable_emb must be what configure_interpretable_embedding_layer returned, but "
            f"{describe(interpretable_emb)} came"
        )
    holder, name = _place(model, interpretable_emb.full_name)
    if holder.get_submodule(name) is not interpretable_emb:
        raise LayerError(
            f"the model's layer {interpretable_emb.full_name!r} is not this one: it may have been removed already"
        )
    setattr(holder, name, interpretable_emb.embedding)


@contextlib.contextmanager
def interpretable_embedding(
    model: nn.Module, embedding_layer_name: str = "embedding"
) -> Iterator[InterpretableEmbeddingBase]:
    """In the block the model takes vectors instead of tokens; afterwards it is as it was, whatever happened.

    Args:
        model, embedding_layer_name: as for :func:`configure_interpretable_embedding_layer`.

    Example::

        with interpretable_embedding(model) as embedding:
            x = embedding.indices_to_embeddings(tokens)
            start = embedding.indices_to_embeddings(baselines.tokens(tokens, pad))
            attributions = IntegratedGradients(model).attribute(x, start, target=1).sum(-1)

    Several embeddings are replaced by as many blocks, one in the other.
    """
    stand_in = configure_interpretable_embedding_layer(model, embedding_layer_name)
    try:
        yield stand_in
    finally:
        remove_interpretable_embedding_layer(model, stand_in)


class TokenReferenceBase:
    """Makes baselines of one token, such as padding.

    Args:
        reference_token_idx: the token's number in the vocabulary, by default 0.
    """

    def __init__(self, reference_token_idx: int = 0) -> None:
        self.reference_token_idx = reference_token_idx

    def generate_reference(self, sequence_length: int, device: torch.device | str | None = None) -> Tensor:
        """The token ``sequence_length`` times, as a tensor (sequence_length,) of ints on ``device``."""
        return torch.full((int(sequence_length),), self.reference_token_idx, dtype=torch.long, device=device)


def _place(model: Any, path: str) -> tuple[nn.Module, str]:
    """The module that holds the one at ``path``, and its name there."""
    if not isinstance(model, nn.Module) or not isinstance(path, str):
        raise InputTypeError(
            f"a model and the path of its embedding are needed, but {describe((model, path))} came"
        )
    holder, _, name = path.rpartition(".")
    for root in (model, unwrap(model)):
        with contextlib.suppress(AttributeError):
            root.get_submodule(path)
            inside = root.get_submodule(holder)
            while isinstance(inside, InterpretableEmbeddingBase):  # one embedding may lie in another
                inside = inside.embedding
            return inside, name
    find_layer(model, path)
    raise LayerError(f"the model has no layer {path!r}")
