"""Small public architectures with random weights, from transformers and timm: each as a function of one floating input.

Only for the sweep (:mod:`architectures.sweep`), in an environment of its own: ``tests/architectures/requirements.txt``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Case:
    """An architecture.

    Attributes:
        make: builds it with random weights.
        shape: of one example.
        single: it computes in single precision whatever it is given, so that less can be asked of it.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    single: bool = False


class Scores(nn.Module):
    """Takes the scores out of what a model gives: its ``logits``, its pooled or its mean hidden state."""

    def __init__(self, model: nn.Module, keyword: str | None, **more: Any) -> None:
        super().__init__()
        self.model, self._keyword, self._more = model, keyword, more

    def forward(self, x: Tensor) -> Tensor:
        more = {
            k: v.expand(len(x), *v.shape[1:]) if isinstance(v, Tensor) else v for k, v in self._more.items()
        }
        output = self.model(x, **more) if self._keyword is None else self.model(**{self._keyword: x}, **more)
        if isinstance(output, Tensor):
            return output
        if output.get("logits") is not None:
            logits = output["logits"]
            return logits[:, -1] if logits.dim() == 3 else logits
        if output.get("pooler_output") is not None:
            return output["pooler_output"]
        return output["last_hidden_state"].mean(1)


_BLOCKS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_SMALL = {**_BLOCKS, "vocab_size": 50, "max_position_embeddings": 32}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32, "vocab_size": 50}


def _of(
    name: str, keyword: str = "inputs_embeds", inputs: dict[str, Any] | None = None, **config: Any
) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import transformers

        kind = getattr(transformers, name)
        settings = kind.config_class(**{"num_labels": 3, "pad_token_id": 0, **config})
        return Scores(
            kind._from_config(settings) if hasattr(kind, "_from_config") else kind(settings),
            keyword,
            **(inputs or {}),
        )

    return make


def _timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False, num_classes=3, **options)

    return make


_WORDS = (6, 32)
_PICTURE = (3, 32, 32)

LANGUAGE = {
    "BERT": Case(_of("BertForSequenceClassification", **_SMALL), _WORDS),
    "DistilBERT": Case(
        _of(
            "DistilBertForSequenceClassification",
            dim=32,
            n_layers=2,
            n_heads=4,
            hidden_dim=48,
            vocab_size=50,
            max_position_embeddings=32,
        ),
        _WORDS,
    ),
    "RoBERTa": Case(_of("RobertaForSequenceClassification", **_SMALL), _WORDS),
    "ALBERT": Case(_of("AlbertForSequenceClassification", embedding_size=32, **_SMALL), _WORDS),
    "ELECTRA": Case(_of("ElectraForSequenceClassification", embedding_size=32, **_SMALL), _WORDS),
    "DeBERTa v2": Case(
        _of(
            "DebertaV2ForSequenceClassification",
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            **_SMALL,
        ),
        _WORDS,
    ),
    "MobileBERT": Case(
        _of(
            "MobileBertForSequenceClassification",
            **{**_SMALL, "embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
        ),
        _WORDS,
    ),
    "XLNet": Case(
        _of("XLNetForSequenceClassification", d_model=32, n_layer=2, n_head=4, d_inner=48, vocab_size=50),
        _WORDS,
    ),
    "Funnel": Case(
        _of(
            "FunnelForSequenceClassification",
            d_model=32,
            n_head=4,
            d_head=8,
            d_inner=48,
            block_sizes=[1, 1],
            num_decoder_layers=1,
            vocab_size=50,
        ),
        _WORDS,
        True,
    ),
    "FNet": Case(_of("FNetForSequenceClassification", **_SMALL), _WORDS),
    "ModernBERT": Case(_of("ModernBertForSequenceClassification", **_SMALL), _WORDS),
    "GPT-2": Case(_of("GPT2ForSequenceClassification", **_GPT), _WORDS),
    "GPT-Neo": Case(
        _of(
            "GPTNeoForSequenceClassification",
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            vocab_size=50,
            max_position_embeddings=32,
        ),
        _WORDS,
    ),
    "GPT-NeoX": Case(_of("GPTNeoXForSequenceClassification", **_SMALL), _WORDS),
    "GPT-J": Case(_of("GPTJForSequenceClassification", rotary_dim=4, **_GPT), _WORDS),
    "OPT": Case(
        _of(
            "OPTForSequenceClassification",
            hidden_size=32,
            word_embed_proj_dim=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=48,
            vocab_size=50,
            max_position_embeddings=32,
        ),
        _WORDS,
    ),
    "Bloom": Case(
        _of("BloomForSequenceClassification", hidden_size=32, n_layer=2, n_head=4, vocab_size=50),
        _WORDS,
        True,
    ),
    "Falcon": Case(
        _of(
            "FalconForSequenceClassification",
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            vocab_size=50,
        ),
        _WORDS,
    ),
    "Llama": Case(_of("LlamaForSequenceClassification", num_key_value_heads=2, **_SMALL), _WORDS, True),
    "Mistral": Case(_of("MistralForSequenceClassification", num_key_value_heads=2, **_SMALL), _WORDS, True),
    "Mixtral": Case(
        _of("MixtralForSequenceClassification", num_key_value_heads=2, num_local_experts=4, **_SMALL),
        _WORDS,
        True,
    ),
    "Qwen 2": Case(_of("Qwen2ForSequenceClassification", num_key_value_heads=2, **_SMALL), _WORDS, True),
    "Gemma": Case(
        _of("GemmaForSequenceClassification", num_key_value_heads=2, head_dim=8, **_SMALL), _WORDS, True
    ),
    "Phi": Case(_of("PhiForSequenceClassification", **_SMALL), _WORDS),
    "Mamba": Case(
        _of("MambaForCausalLM", hidden_size=32, num_hidden_layers=2, state_size=4, vocab_size=50),
        _WORDS,
        True,
    ),
    "T5 encoder": Case(
        _of("T5EncoderModel", d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, vocab_size=50),
        _WORDS,
        True,
    ),
    "ViT (transformers)": Case(
        _of(
            "ViTForImageClassification",
            "pixel_values",
            image_size=32,
            patch_size=8,
            **_BLOCKS,
        ),
        _PICTURE,
    ),
    "Swin (transformers)": Case(
        _of(
            "SwinForImageClassification",
            "pixel_values",
            image_size=32,
            patch_size=4,
            embed_dim=16,
            depths=[1, 1],
            num_heads=[2, 4],
            window_size=4,
        ),
        _PICTURE,
    ),
    "ConvNeXt (transformers)": Case(
        _of(
            "ConvNextForImageClassification",
            "pixel_values",
            hidden_sizes=[8, 16],
            depths=[1, 1],
            num_stages=2,
        ),
        _PICTURE,
    ),
    "Wav2Vec 2": Case(
        _of(
            "Wav2Vec2ForSequenceClassification",
            "input_values",
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            conv_dim=[16, 16],
            conv_stride=[5, 2],
            conv_kernel=[10, 3],
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            num_feat_extract_layers=2,
            classifier_proj_size=16,
        ),
        (400,),
    ),
}

PICTURES = {
    name: Case(_timm(name, **options), shape)
    for name, options, shape in (
        ("resnet18", {}, (3, 64, 64)),
        ("vgg11", {}, (3, 64, 64)),
        ("densenet121", {}, (3, 64, 64)),
        ("mobilenetv3_small_050", {}, (3, 64, 64)),
        ("efficientnet_lite0", {}, (3, 64, 64)),
        ("tf_efficientnet_b0", {}, (3, 64, 64)),
        ("regnetx_002", {}, (3, 64, 64)),
        ("regnety_002", {}, (3, 64, 64)),
        ("ghostnet_050", {}, (3, 64, 64)),
        ("dla34", {}, (3, 64, 64)),
        ("nf_resnet26", {}, (3, 64, 64)),
        ("convnext_atto", {}, (3, 64, 64)),
        ("convnextv2_atto", {}, (3, 64, 64)),
        ("vit_tiny_patch16_224", {"img_size": 64}, (3, 64, 64)),
        ("deit_tiny_patch16_224", {"img_size": 64}, (3, 64, 64)),
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "depths": (1, 1, 1, 1)}, (3, 64, 64)),
        ("mixer_s32_224", {"img_size": 64}, (3, 64, 64)),
        ("resmlp_12_224", {"img_size": 64}, (3, 64, 64)),
        ("gmlp_ti16_224", {"img_size": 64}, (3, 64, 64)),
        ("cait_xxs24_224", {"img_size": 64}, (3, 64, 64)),
        ("xcit_nano_12_p16_224", {"img_size": 64}, (3, 64, 64)),
        ("poolformer_s12", {}, (3, 64, 64)),
        ("pvt_v2_b0", {}, (3, 64, 64)),
        ("levit_128s", {"img_size": 64}, (3, 64, 64)),
        ("mobilevit_xxs", {}, (3, 64, 64)),
        ("edgenext_xx_small", {}, (3, 64, 64)),
        ("fastvit_t8", {}, (3, 64, 64)),
        ("inception_v3", {"aux_logits": False}, (3, 96, 96)),
        ("crossvit_tiny_240", {}, (3, 240, 240)),
    )
}

CASES = {**LANGUAGE, **PICTURES}


def import_without_torchvision() -> None:
    """Import timm and transformers where torchvision's compiled part does not fit the machine: they need none of it."""
    register = torch.library.register_fake

    def without_torchvision(name: Any, *given: Any, **named: Any) -> Any:
        of_it = isinstance(name, str) and name.startswith("torchvision::")
        return (lambda function: function) if of_it else register(name, *given, **named)

    torch.library.register_fake = without_torchvision  # type: ignore[assignment]
    try:
        import timm  # noqa: F401
        import torchvision  # noqa: F401
    finally:
        torch.library.register_fake = register


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model in evaluation mode and in double precision (single, if it takes no other), and two examples."""
    torch.manual_seed(0)
    case = CASES[name]
    import_without_torchvision()
    dtype = torch.float32 if case.single else torch.float64
    model = case.make().eval().to(dtype).requires_grad_(False)
    x = torch.randn(2, *case.shape, dtype=dtype)
    if _stands_still(model, x):
        _enliven(model)
    return model, x


def _stands_still(model: nn.Module, x: Tensor) -> bool:
    """Whether what it gives hardly depends on its input: then there is nothing to explain but rounding."""
    one, other = model(x), model(torch.randn_like(x))
    return bool((one - other).abs().max() < 1e-3 * one.abs().max())


def _enliven(model: nn.Module) -> None:
    """Weights with which signals go through; factors that begin near zero, as at the end of a branch, become one."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter)
        elif parameter.abs().max() < 1e-2:
            nn.init.ones_(parameter)
