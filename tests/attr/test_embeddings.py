"""Embeddings replaced by what takes vectors, and put back."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import (
    IntegratedGradients,
    InterpretableEmbeddingBase,
    TokenReferenceBase,
    baselines,
    configure_interpretable_embedding_layer,
    interpretable_embedding,
    remove_interpretable_embedding_layer,
)
from attriscope.core.errors import InputError, LayerError
from models import Snapshot, assert_same, with_drawn_parameters

TOKENS = torch.tensor([[1, 4, 2], [3, 3, 0]])


class Texts(nn.Module):
    """Scores (N, 2) of tokens (N, length); the output layer shares the embedding's weight, as in language models."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {"embedding": nn.Embedding(5, 3), "layers": nn.Sequential(nn.Embedding(5, 3))}
        )
        self.last = nn.Linear(3, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = self.encoder["embedding"](tokens)
        return self.last(vectors.mean(1).tanh()) + self.encoder["embedding"].weight.sum()


@pytest.fixture
def texts() -> Texts:
    return with_drawn_parameters(Texts()).double()


def test_there_and_back(texts: Texts) -> None:
    before = Snapshot(texts, ())
    expected = texts(TOKENS)
    original = texts.encoder["embedding"]
    stand_in = configure_interpretable_embedding_layer(texts, "encoder.embedding")
    assert texts.encoder["embedding"] is stand_in
    assert not stand_in.training
    assert (stand_in.num_embeddings, stand_in.embedding_dim) == (5, 3)
    vectors = stand_in.indices_to_embeddings(TOKENS)
    assert_same(vectors, original(TOKENS))
    assert_same(texts(vectors), expected)
    remove_interpretable_embedding_layer(texts, stand_in)
    before.check()
    assert_same(texts(TOKENS), expected)


def test_in_a_block_it_is_put_back_whatever_happens(texts: Texts) -> None:
    before = Snapshot(texts, ())
    with interpretable_embedding(texts, "encoder.embedding") as embedding:
        x = embedding.indices_to_embeddings(TOKENS)
        start = embedding.indices_to_embeddings(baselines.tokens(TOKENS, 0))
        found, delta = IntegratedGradients(texts).attribute(x, start, target=1, return_convergence_delta=True)
    before.check()
    assert found.shape == (2, 3, 3)
    assert delta.abs().max() < 1e-6
    with pytest.raises(ZeroDivisionError), interpretable_embedding(texts, "encoder.embedding"):
        raise ZeroDivisionError
    before.check()


def test_layers_with_numbers_and_of_their_own_kind(texts: Texts) -> None:
    before = Snapshot(texts, ())

    class Doubled(nn.Module):
        def forward(self, tokens: Tensor, scale: float = 2.0) -> Tensor:
            return tokens[..., None] * scale

    with interpretable_embedding(texts, "encoder.layers.0"):
        assert isinstance(texts.encoder["layers"][0], InterpretableEmbeddingBase)
    model = nn.Sequential(Doubled())
    with interpretable_embedding(model, "0") as embedding:
        assert embedding.num_embeddings is None
        assert embedding.indices_to_embeddings(TOKENS, scale=3.0).equal(TOKENS[..., None] * 3)
        vectors = embedding.indices_to_embeddings(TOKENS.double())
        assert model(vectors) is vectors
        assert embedding(input=vectors) is vectors
        assert model(TOKENS).equal(TOKENS[..., None] * 2)
    before.check()


def test_the_name_inside_a_wrapper(texts: Texts) -> None:
    wrapped = nn.DataParallel(texts)
    for name in ("module.encoder.embedding", "encoder.embedding"):
        with interpretable_embedding(wrapped, name):
            assert isinstance(texts.encoder["embedding"], InterpretableEmbeddingBase)
        assert isinstance(texts.encoder["embedding"], nn.Embedding)


class Embeddings(nn.Module):
    """As in BERT: words, positions and segments, called by keyword, with vectors in place of ids if they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.position, self.segment = nn.Embedding(9, 3), nn.Embedding(4, 3), nn.Embedding(2, 3)
        self.norm = nn.LayerNorm(3)

    def forward(
        self, ids: Any = None, positions: Any = None, segments: Any = None, vectors: Any = None
    ) -> Tensor:
        vectors = self.word(input=ids) if vectors is None else vectors
        return self.norm(vectors + self.position(positions) + self.segment(segments))


class Encoder(nn.Module):
    """Scores (N, 2) of ids, or of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings, self.last = Embeddings(), nn.Linear(3, 2)

    def forward(
        self, ids: Any = None, segments: Any = None, positions: Any = None, vectors: Any = None
    ) -> Tensor:
        length = (ids if vectors is None else vectors).shape[1]
        positions = torch.arange(length)[None] if positions is None else positions
        segments = torch.zeros(1, length, dtype=torch.long) if segments is None else segments
        found = self.embeddings(ids=ids, positions=positions, segments=segments, vectors=vectors)
        return self.last(found.mean(1).tanh())


@pytest.fixture
def encoder() -> Encoder:
    return with_drawn_parameters(Encoder()).double().eval()


def test_embeddings_that_are_called_by_keyword(encoder: Encoder) -> None:
    before, expected = Snapshot(encoder, ()), encoder(TOKENS)
    with interpretable_embedding(encoder, "embeddings.word") as words:
        assert_same(encoder(words.indices_to_embeddings(TOKENS)), expected)
        assert_same(encoder(TOKENS), expected)
    segments = torch.zeros(1, 3, dtype=torch.long)
    with interpretable_embedding(encoder, "embeddings") as whole:
        vectors = whole.indices_to_embeddings(ids=TOKENS, positions=torch.arange(3)[None], segments=segments)
        assert_same(encoder(vectors=vectors), expected)  # beside ids=None, and ids of segments
        start = whole.indices_to_embeddings(
            ids=0 * TOKENS, positions=torch.arange(3)[None], segments=segments
        )
        found = IntegratedGradients(lambda v: encoder(vectors=v)).attribute(vectors, start, target=1)
        change = encoder(vectors=vectors) - encoder(vectors=start)
        assert_same(found.sum((1, 2)), change[:, 1], atol=1e-6)
    before.check()


def test_several_embeddings_at_once_and_one_in_another(encoder: Encoder) -> None:
    before, expected = Snapshot(encoder, ()), encoder(TOKENS)
    names = ("embeddings.word", "embeddings.position", "embeddings.segment")
    positions, segments = torch.arange(3).expand(2, 3), torch.zeros(2, 3, dtype=torch.long)
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(interpretable_embedding(encoder, name)) for name in names]
        vectors = tuple(
            e.indices_to_embeddings(t) for e, t in zip(made, (TOKENS, positions, segments), strict=True)
        )
        assert_same(encoder(vectors[0], vectors[2], vectors[1]), expected)
        assert_same(encoder(vectors[0]), expected)  # what is left out is looked up
        found = IntegratedGradients(lambda w, p, s: encoder(w, s, p)).attribute(
            vectors, target=0, n_steps=500
        )
        change = encoder(*vectors[::2], vectors[1]) - encoder(*(0 * v for v in vectors[::2]), 0 * vectors[1])
        assert_same(sum(a.sum((1, 2)) for a in found), change[:, 0], atol=1e-4)
    before.check()
    with interpretable_embedding(encoder, "embeddings"), interpretable_embedding(encoder, "embeddings.word"):
        pass
    before.check()


def test_references() -> None:
    assert_same(TokenReferenceBase(7).generate_reference(3, "cpu"), torch.tensor([7, 7, 7]))
    assert TokenReferenceBase().generate_reference(2, torch.device("meta")).device.type == "meta"
    assert TokenReferenceBase().reference_token_idx == 0


def test_a_model_may_be_copied_and_saved_while_it_is_replaced(texts: Texts) -> None:
    import copy
    import pickle

    with interpretable_embedding(texts, "encoder.embedding") as embedding:
        for other in (copy.deepcopy(texts), pickle.loads(pickle.dumps(texts))):
            vectors = embedding.indices_to_embeddings(TOKENS)
            assert_same(other(vectors), texts(vectors))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = embedding.nonsense


def configured_twice(model: Any) -> None:
    with interpretable_embedding(model, "encoder.embedding"):
        configure_interpretable_embedding_layer(model, "encoder.embedding")


def removed_twice(model: Any) -> None:
    with interpretable_embedding(model, "encoder.embedding") as embedding:
        pass
    remove_interpretable_embedding_layer(model, embedding)


def called_with_nothing(model: Any) -> None:
    with interpretable_embedding(model, "encoder.embedding") as embedding:
        embedding()


@pytest.mark.parametrize(
    ("use", "kind", "says"),
    [
        (configured_twice, InputError, "already interpretable"),
        (removed_twice, LayerError, "removed already"),
        (called_with_nothing, InputError, "indices_to_embeddings"),
        (lambda m: configure_interpretable_embedding_layer(m), LayerError, "'encoder.embedding'"),
        (lambda m: configure_interpretable_embedding_layer(print, "x"), TypeError, "a model and the path"),
        (lambda m: configure_interpretable_embedding_layer(m, m.last), TypeError, "a model and the path"),
        (lambda m: remove_interpretable_embedding_layer(m, m.last), TypeError, "configure_interpretable"),
    ],
)
def test_what_cannot_be_used(texts: Texts, use: Any, kind: type[Exception], says: str) -> None:
    before = Snapshot(texts, ())
    with pytest.raises(kind) as caught:
        use(texts)
    before.check()
    assert isinstance(caught.value, AssertionError)
    assert says in str(caught.value)
