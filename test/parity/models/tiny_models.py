"""Tiny random models of every family, written as complete Hugging Face folders."""

import json
import math
from pathlib import Path

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORDS = (
    "the rabbit ran over a small hill and hid under the old bridge while rain fell on the river "
    "she asked whether anyone had seen it and nobody answered because the room was empty and cold "
    "then a door opened, the lamp went out, and somebody laughed: it was only the wind. "
)
SPECIALS = ["<pad>", "<s>", "</s>"]


def byte_bpe(bos: bool) -> Tokenizer:
    """Byte-level BPE over all 256 bytes with 61 merges; `bos` puts <s> first, as Llama 3 and OPT do."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(
        [WORDS],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=SPECIALS,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tok.post_processor = processors.ByteLevel(trim_offsets=True)
    if bos:
        first = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
        tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), first])
    return tok


def word_piece() -> Tokenizer:
    """Lower-casing WordPiece with [CLS] and [SEP], as BERT has. Its vocabulary is made here: training one is not repeatable."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = sorted({w.strip(".,:") for w in WORDS.split()} - set(letters))[:60]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), *".,:?", *words]
    vocab = {piece: n for n, piece in enumerate(pieces)}
    tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    ids = [(name, vocab[name]) for name in ("[CLS]", "[SEP]")]
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    tok.add_special_tokens(pieces[:5])
    return tok


LLAMA = dict(
    vocab_size=320, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    rms_norm_eps=1e-5,
)
NEOX = dict(
    vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
)
OPT = dict(
    vocab_size=320, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=48, dropout=0.0, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)  # fmt: skip
# Wavelengths of the 4 rotary pairs at theta 100 are 6.3, 20, 63 and 199: one in each regime of the scaling.
LLAMA3_ROPE = dict(
    rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)


def configs() -> dict[str, tuple[type, tf.PretrainedConfig, dict]]:
    """Folder name -> (class, config, keys to put into config.json in the spelling of older checkpoints)."""
    return {
        "llama": (
            tf.LlamaForCausalLM,
            tf.LlamaConfig(**LLAMA | {"num_hidden_layers": 3}, tie_word_embeddings=True),
            {"rope_theta": 10000.0, "rope_parameters": None},
        ),
        "llama-rope-llama3": (
            tf.LlamaForCausalLM,
            tf.LlamaConfig(**LLAMA, tie_word_embeddings=True, rope_parameters={**LLAMA3_ROPE, "rope_theta": 100.0}),
            {"rope_theta": 100.0, "rope_scaling": LLAMA3_ROPE, "rope_parameters": None},
        ),
        "llama-rope-linear": (
            tf.LlamaForCausalLM,
            tf.LlamaConfig(
                **LLAMA, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
                rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 10000.0},
            ),
            {},
        ),  # fmt: skip
        "mistral": (
            tf.MistralForCausalLM,
            tf.MistralConfig(**LLAMA, head_dim=12, sliding_window=4),
            {},
        ),
        "qwen2": (
            tf.Qwen2ForCausalLM,
            tf.Qwen2Config(**LLAMA, use_sliding_window=False, sliding_window=4, tie_word_embeddings=False),
            {},
        ),
        "gpt2": (
            tf.GPT2LMHeadModel,
            tf.GPT2Config(
                vocab_size=320, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=32, bos_token_id=2, eos_token_id=2,
                attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
            ),
            {},
        ),  # fmt: skip
        "neox-parallel": (
            tf.GPTNeoXForCausalLM,
            tf.GPTNeoXConfig(**NEOX, use_parallel_residual=True),
            {"rotary_pct": 0.25, "rotary_emb_base": 10000, "rope_parameters": None},
        ),
        "neox-sequential": (
            tf.GPTNeoXForCausalLM,
            tf.GPTNeoXConfig(
                **NEOX, use_parallel_residual=False,
                rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
            ),
            {},
        ),  # fmt: skip
        "opt": (tf.OPTForCausalLM, tf.OPTConfig(**OPT, word_embed_proj_dim=32, do_layer_norm_before=True), {}),
        "opt-post-norm": (
            tf.OPTForCausalLM,
            tf.OPTConfig(**OPT, word_embed_proj_dim=24, do_layer_norm_before=False),
            {},
        ),
        "bert": (
            tf.BertModel,
            tf.BertConfig(
                vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
                max_position_embeddings=48, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            ),
            {},
        ),  # fmt: skip
    }


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int) -> None:
    """Every parameter random, biases and norms too: a forgotten one must show in the goldens."""
    gen = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if p.dim() > 1:
            embedding = any(key in name for key in ("embed", "wte", "wpe"))
            p.copy_(noise * (0.4 if embedding else 1.2 / math.sqrt(max(p.shape))))
        else:
            p.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))


def write_tokenizer(folder: Path, family: str) -> None:
    """tokenizer.json and tokenizer_config.json."""
    (word_piece() if family == "bert" else byte_bpe(bos=family in ("opt", "opt-post-norm", "llama-rope-llama3"))).save(
        str(folder / "tokenizer.json"), pretty=False
    )
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "clean_up_tokenization_spaces": False}
    if family == "bert":
        config |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    else:
        config |= {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


def respell(folder: Path, keys: dict) -> None:
    """Rewrites config.json in the spelling of older checkpoints: a key set to None goes away."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | keys
    config.pop("transformers_version", None)
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in keys or v is not None}, indent=1) + "\n")


def write_model(root: Path, name: str, seed: int) -> Path:
    """Writes one folder and returns it."""
    kind, config, keys = configs()[name]
    torch.manual_seed(seed)
    model = kind(config).float().eval()
    randomise(model, seed)
    model.tie_weights()
    folder = root / name
    if name == "opt-post-norm":
        model.model.save_pretrained(folder)  # names without the base model's prefix, as OPT's published checkpoints
    else:
        model.save_pretrained(folder, max_shard_size="84KB" if name == "qwen2" else "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    respell(folder, keys)
    write_tokenizer(folder, name)
    return folder
