"""Writes test/fixtures/configs/goldens.json: config.json contents and what transformers makes of them.

Run from the repository root: `python test/parity/configs/make_goldens.py`. `raw` is a config.json, `expected` the fields that
transformers' configuration class holds after reading it, defaults filled in, under cortune's names.
"""

import json
from pathlib import Path

import transformers
from transformers import AutoConfig

OUT = Path(__file__).parents[2] / "fixtures" / "configs"
LLAMA3 = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
RAW = [
    {"model_type": "llama"},
    {"model_type": "llama", "hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "rope_theta": 100000, "tie_word_embeddings": True},
    {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}, "max_position_embeddings": 131072},
    {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}, "attention_bias": True, "mlp_bias": True},
    {"model_type": "llama", "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 20000.0}},
    {"model_type": "llama", "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3}},
    {"model_type": "llama", "rope_parameters": {"rope_type": "default", "rope_theta": 123.0}, "rope_theta": 7.0},
    {"model_type": "llama", "head_dim": 64, "num_key_value_heads": None},
    {"model_type": "mistral"},
    {"model_type": "mistral", "sliding_window": None, "head_dim": 96},
    {"model_type": "qwen2"},
    {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 128, "max_window_layers": 0},
    {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 128, "max_window_layers": 32},
    {"model_type": "gpt2"},
    {"model_type": "gpt2", "n_inner": 100, "activation_function": "relu"},
    {"model_type": "gpt_neox"},
    {"model_type": "gpt_neox", "rotary_pct": 0.5, "rotary_emb_base": 20000, "use_parallel_residual": False, "rope_theta": 3.0},
    {"model_type": "gpt_neox", "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.75}},
    {"model_type": "gpt_neox", "attention_bias": False},
    {"model_type": "opt"},
    {"model_type": "opt", "do_layer_norm_before": False, "word_embed_proj_dim": 512},
    {"model_type": "opt", "_remove_final_layer_norm": True, "enable_bias": False, "tie_word_embeddings": False},
    {"model_type": "bert"},
    {"model_type": "bert", "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536, "layer_norm_eps": 1e-12},
]


def rope(config) -> dict:
    p = getattr(config, "rope_parameters", None)
    if not p:
        return {"ropeTheta": 0}
    out = {"ropeTheta": p["rope_theta"], "ropeScaling": "" if p["rope_type"] == "default" else p["rope_type"]}
    names = {"factor": "ropeFactor", "low_freq_factor": "ropeLowFactor", "high_freq_factor": "ropeHighFactor"}
    names["original_max_position_embeddings"] = "ropeOriginalPositions"
    out |= {ours: p[theirs] for theirs, ours in names.items() if theirs in p}
    if config.model_type == "gpt_neox":
        out["ropeShare"] = p["partial_rotary_factor"]
    return out


def expected(config) -> dict:
    kind = config.model_type
    heads = config.num_attention_heads
    out = {
        "vocabSize": config.vocab_size,
        "hiddenSize": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": heads,
        "kvHeads": getattr(config, "num_key_value_heads", heads),
        "headDim": getattr(config, "head_dim", None) or config.hidden_size // heads,
        "maxPositions": config.max_position_embeddings,
        "tieEmbeddings": config.tie_word_embeddings,
        "initializerRange": config.init_std if kind == "opt" else config.initializer_range,
        **rope(config),
    }
    inner = {"gpt2": lambda: config.n_inner or 4 * config.n_embd, "opt": lambda: config.ffn_dim}
    out["intermediateSize"] = inner.get(kind, lambda: config.intermediate_size)()
    eps = {"gpt2": "layer_norm_epsilon", "gpt_neox": "layer_norm_eps", "bert": "layer_norm_eps"}
    if kind != "opt":
        out["normEps"] = getattr(config, eps.get(kind, "rms_norm_eps"))
    if kind in ("llama", "gpt_neox"):
        out["qkvBias"] = out["outBias"] = config.attention_bias
    if kind == "gpt_neox":
        out["parallelResidual"] = config.use_parallel_residual
    if kind == "mistral":
        out["slidingWindow"] = config.sliding_window or 0
    if kind == "qwen2":
        sliding = config.layer_types.count("sliding_attention")
        assert sliding in (0, config.num_hidden_layers)
        out["slidingWindow"] = config.sliding_window if sliding else 0
    if kind == "opt":
        out |= {"preNorm": config.do_layer_norm_before, "embedSize": config.word_embed_proj_dim, "qkvBias": config.enable_bias}
        out["finalNorm"] = config.do_layer_norm_before and not config._remove_final_layer_norm
    if kind == "bert":
        out["typeVocabSize"] = config.type_vocab_size
    return out


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    cases = []
    for raw in RAW:
        copy = json.loads(json.dumps(raw))
        config = AutoConfig.for_model(copy.pop("model_type"), **copy)
        cases.append({"raw": raw, "expected": expected(config)})
    value = {"transformers": transformers.__version__, "cases": cases}
    (OUT / "goldens.json").write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
