"""The cases of the method goldens: what is tuned on which tiny model, with which options of peft.

A case is a dict: `config` makes the peft config (absent for whole weights), `lr` its rate, and what differs from plain training.
Random initial values are drawn with the fixed seeds of replay.py and stored, so that other programs start from the same.
"""

from typing import Callable

import peft

MODELS = {"llama": "CAUSAL_LM", "gpt2": "CAUSAL_LM", "bert": "FEATURE_EXTRACTION"}
STEPS = 10
RANK, ALPHA = 4, 6
VIRTUAL = 5
TARGETS = {"llama": ["q_proj", "down_proj"], "gpt2": ["c_attn"], "bert": ["query", "output.dense"]}
SECOND = {"llama": "down_proj", "gpt2": "mlp.c_proj", "bert": "output.dense"}
LAST = {"llama": "layers.2.self_attn.q_proj", "gpt2": "h.1.attn.c_attn", "bert": "layer.2.attention.self.query"}
NORMS = {"llama": None, "gpt2": None, "bert": ["LayerNorm"]}  # peft has no defaults for BERT
TEXT = "the rabbit ran"

Config = Callable[[str], peft.PeftConfig]


def lora(**options) -> Config:
    def make(name: str) -> peft.PeftConfig:
        given = {key: value(name) if callable(value) else value for key, value in options.items()}
        base = {"r": RANK, "lora_alpha": ALPHA, "target_modules": TARGETS[name], "fan_in_fan_out": name == "gpt2"}
        return peft.LoraConfig(**base | given)

    return make


def ada(**options) -> Config:
    return lambda name: peft.AdaLoraConfig(
        init_r=4, target_r=2, lora_alpha=ALPHA, target_modules=TARGETS[name], fan_in_fan_out=name == "gpt2", total_step=STEPS, **options
    )


def vera(**options) -> Config:
    return lambda name: peft.VeraConfig(r=8, target_modules=TARGETS[name], fan_in_fan_out=name == "gpt2", projection_prng_key=3, **options)


def prompt(**options) -> Config:
    return lambda name: peft.PromptTuningConfig(num_virtual_tokens=VIRTUAL, **options)


def prefix(**options) -> Config:
    return lambda name: peft.PrefixTuningConfig(num_virtual_tokens=VIRTUAL, **options)


def p_tuning(**options) -> Config:
    return lambda name: peft.PromptEncoderConfig(num_virtual_tokens=VIRTUAL, encoder_hidden_size=12, **options)


# `random`: peft's own initial values give no gradient (B, E or the prefix is zero), so noise of this size is added to them.
CASES: dict[str, dict] = {
    "lora": {"config": lora(), "lr": 1e-2, "random": 0.1},
    "lora-rslora": {"config": lora(use_rslora=True), "lr": 1e-2, "random": 0.1},
    "lora-dora": {"config": lora(use_dora=True), "lr": 1e-2, "random": 0.1},
    "lora-plus": {"config": lora(), "lr": 2e-3, "random": 0.1, "ratio": 8.0},
    "lora-patterns": {
        "config": lora(
            target_modules=lambda n: [*TARGETS[n], SECOND[n]],
            rank_pattern=lambda n: {SECOND[n]: 2, LAST[n]: 3},
            alpha_pattern=lambda n: {LAST[n]: 10},
        ),
        "lr": 1e-2,
        "random": 0.1,
    },
    "lora-bias-all": {"config": lora(bias="all"), "lr": 1e-2, "random": 0.1, "models": ["gpt2", "bert"]},
    "lora-bias-only": {"config": lora(bias="lora_only"), "lr": 1e-2, "random": 0.1, "models": ["gpt2", "bert"]},
    "lora-gaussian": {"config": lora(init_lora_weights="gaussian"), "lr": 1e-2},
    "lora-orthogonal": {"config": lora(init_lora_weights="orthogonal"), "lr": 1e-2},
    "lora-pissa": {"config": lora(init_lora_weights="pissa"), "lr": 1e-3},
    # peft does not turn Conv1D's weights around for OLoRA, and fails on GPT-2
    "lora-olora": {"config": lora(init_lora_weights="olora"), "lr": 1e-3, "models": ["llama", "bert"]},
    "adalora": {"config": ada(tinit=2, tfinal=3, deltaT=2, beta1=0.85, beta2=0.8, orth_reg_weight=0.4), "lr": 1e-2, "random": 0.1},
    "ia3": {"config": lambda name: peft.IA3Config(fan_in_fan_out=name == "gpt2"), "lr": 2e-2, "random": 0.1},
    "vera": {"config": vera(), "lr": 2e-2, "random": 0.1},
    "prompt": {"config": prompt(), "lr": 3e-2},
    "prompt-text": {
        "config": prompt(prompt_tuning_init="TEXT", prompt_tuning_init_text=TEXT, tokenizer_name_or_path="BASE"), "lr": 3e-2
    },
    "prefix": {"config": prefix(), "lr": 3e-2},
    "prefix-projection": {"config": prefix(prefix_projection=True, encoder_hidden_size=12), "lr": 1e-2},
    "p-tuning": {"config": p_tuning(), "lr": 1e-2},
    "p-tuning-lstm": {"config": p_tuning(encoder_reparameterization_type="LSTM"), "lr": 1e-2},
    "layernorm": {"config": lambda name: peft.LNTuningConfig(target_modules=NORMS[name]), "lr": 2e-2},
    "bitfit": {"parameters": lambda name, key, i: key.endswith(".bias"), "lr": 2e-2, "models": ["gpt2", "bert"]},
    "full-layers": {"parameters": lambda name, key, i: i >= 1, "lr": 5e-3},
    "full-decay": {"parameters": lambda name, key, i: True, "lr": 5e-3, "layer_decay": 0.7},
    "hft": {"parameters": "halves", "lr": 5e-3},
}  # fmt: skip

# Ways of naming modules whose outcome alone is kept: which modules peft adapts. By model, options of LoraConfig.
TARGETINGS = {
    "llama": [
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj", "mlp.up_proj"]},
        {"target_modules": r".*layers\.[12]\..*(k_proj|down_proj)"},
        {"target_modules": "all-linear", "exclude_modules": ["q_proj", "down_proj"]},
        {"target_modules": ["q_proj", "v_proj"], "exclude_modules": r".*\.1\.self_attn\.q_proj"},
        {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [0, 2]},
        {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": 1, "layers_pattern": "layers"},
    ],
    "gpt2": [
        {"target_modules": "all-linear"},
        {"target_modules": ["c_proj"]},
        {"target_modules": ["mlp.c_proj"]},
        {"target_modules": ["c_attn", "c_fc"], "layers_to_transform": [1]},
        {"target_modules": r"transformer\.h\.0\..*c_(attn|fc)"},
    ],
    "bert": [
        {"target_modules": ["query", "value"]},
        {"target_modules": ["output.dense"]},
        {"target_modules": ["attention.output.dense"], "layers_to_transform": [0, 1]},
        {"target_modules": ["dense"], "exclude_modules": ["output.dense"]},
    ],
}
