"""What transformers' `generate` writes on the tiny models, greedily and by beams, bare and with peft's adapters: test/fixtures/generate.

Run from the repository's root; needs torch, transformers, peft. Seeds are fixed. A prompt is kept only where float32 and float64 write the
same tokens, so that no comparison hangs on a tie.
"""

import copy
import json
import shutil
import sys
from pathlib import Path

import peft
import torch
import transformers as tf

MODELS = Path("test/fixtures/models")
OUT = Path("test/fixtures/generate")
CAUSAL = [
    "llama", "llama-rope-llama3", "llama-rope-linear", "mistral", "qwen2", "gpt2", "neox-parallel", "neox-sequential",
    "opt", "opt-post-norm",
]  # fmt: skip
NEW = 12
BEAMS = [
    {"num_beams": 3},
    {"num_beams": 4, "length_penalty": 0.0, "early_stopping": True},
    {"num_beams": 2, "length_penalty": 2.0, "early_stopping": "never"},
    {"num_beams": 3, "length_penalty": -0.5},
]


def adapters() -> dict[str, peft.PeftConfig]:
    modules = {"llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}
    made = {}
    for name in ("llama", "gpt2"):
        turned = {"fan_in_fan_out": name == "gpt2"}
        made[f"{name}-lora"] = peft.LoraConfig(r=3, lora_alpha=6, target_modules=modules[name], task_type="CAUSAL_LM", **turned)
        made[f"{name}-ia3"] = peft.IA3Config(task_type="CAUSAL_LM", **turned)
        made[f"{name}-prompt"] = peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
        made[f"{name}-prefix"] = peft.PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    return made


class Whole(torch.nn.Module):
    """peft's forward pass over all that was written so far, as a model that transformers' `generate` can drive without a cache: peft's own
    `generate` numbers the tokens behind virtual ones twice in these versions."""

    def __init__(self, model: peft.PeftModel):
        super().__init__()
        self.model = model

    def generate(self, **options):
        host = copy.deepcopy(self.model.get_base_model())
        forward = lambda input_ids, **_: tf.modeling_outputs.CausalLMOutput(logits=self.model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids)).logits)  # noqa: E731, E501
        host.forward = forward
        return host.generate(use_cache=False, **options)


def write(model, ids: list[int], **options) -> list[int]:
    given = torch.tensor([ids])
    with torch.no_grad():
        out = model.generate(
            input_ids=given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=NEW, pad_token_id=0,
            **options,
        )  # fmt: skip
    return out[0, len(ids) :].tolist()


def trimmed(tokens: list[int], ends: list[int]) -> list[int]:
    """Without the padding behind the first token that ends the text."""
    for i, token in enumerate(tokens):
        if token in ends:
            return tokens[: i + 1]
    return tokens


def cases(model, vocabulary: int, seed: int, longest: int) -> dict:
    double = copy.deepcopy(model).double()
    draw = torch.Generator().manual_seed(seed)
    prompts: list[list[int]] = []
    while len(prompts) < 6:
        length = [3, 9, 1, 5, 9, longest][len(prompts)]
        ids = torch.randint(3, vocabulary, (length,), generator=draw).tolist()
        if write(model, ids, eos_token_id=[]) == write(double, ids, eos_token_id=[]):
            prompts.append(ids)
    greedy = [write(model, ids, eos_token_id=[]) for ids in prompts]
    # Tokens that end some of the texts early.
    ends = [greedy[0][4], greedy[1][7]]
    out = {"prompts": prompts, "ends": ends, "greedy": greedy, "ended": [trimmed(write(model, ids, eos_token_id=ends), ends) for ids in prompts], "beams": []}
    for options in BEAMS:
        both = [[trimmed(write(m, ids, eos_token_id=ends, **options), ends) for ids in prompts] for m in (model, double)]
        agree = [i for i, pair in enumerate(zip(*both)) if pair[0] == pair[1]]
        out["beams"].append({"options": options, "agree": agree, "texts": both[0]})
    return out


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    golden = {"versions": {"torch": torch.__version__, "transformers": tf.__version__, "peft": peft.__version__}, "newTokens": NEW}
    golden["models"] = {}
    torch.set_num_threads(1)  # small models wait for threads more than they compute
    for seed, name in enumerate(CAUSAL):
        print(name, flush=True)
        model = tf.AutoModelForCausalLM.from_pretrained(MODELS / name).eval()
        golden["models"][name] = cases(model, model.config.vocab_size, seed, 18)
    golden["adapters"] = {}
    for seed, (name, config) in enumerate(adapters().items()):
        print(name, flush=True)
        torch.manual_seed(100 + seed)
        base = tf.AutoModelForCausalLM.from_pretrained(MODELS / name.split("-")[0])
        model = peft.get_peft_model(base, config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.3 * torch.randn(parameter.shape))
        model.save_pretrained(OUT / name)
        (OUT / name / "README.md").unlink(missing_ok=True)
        golden["adapters"][name] = cases(Whole(model), base.config.vocab_size, 50 + seed, 12)
    (OUT / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


sys.exit(main())
