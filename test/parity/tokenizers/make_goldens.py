"""Writes test/fixtures/tokenizers: small tokenizers of every kind, and what the reference makes of many texts.

Run from the repository root: `python test/parity/tokenizers/make_goldens.py [GGUF FOLDER]`. Each NAME.json holds `tokenizer` (a
tokenizer.json) or `gguf` (the tokenizer part of a GGUF file's metadata, read back by transformers), and the golden: for every text
of texts.json the ids, and offsets in code points, without special tokens; `special` are the ids of one text with them. With a GGUF
file and a BERT folder it also writes real.json, the goldens of the two real models. versions.json records the libraries.
"""

import json
import sys
import tempfile
from pathlib import Path

import gguf
import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

OUT = Path(__file__).parents[2] / "fixtures" / "tokenizers"

TEXTS = [
    "",
    " ",
    "Hello world",
    "  two  spaces   here ",
    "Alice was beginning to get very tired of sitting by her sister on the bank.",
    "line one\nline two\n\n\nline three\r\nwindows\ttab",
    "trailing space \n \n",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u00c5ngstr\u00f6m",
    "cafe\u0301 decomposed a\u0323\u0302 x\u0301y",
    "\u0130stanbul \u1e9e \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "emoji \U0001f407\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 end",
    "\u4f60\u597d\u4e16\u754c mixed \u6f22\u5b57 and \U00020000\U0002a6d6 rare",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab jamo",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947",
    "prices: $3.50, 1,234,567 or \u20ac99 \u00b2\u00bd\u2163",
    "it's we'll they'RE don't I'd 'quoted' \"double\"",
    "a_b-c/d\\e @user #tag 50% x^2 ~ `code` {json: [1, 2]}",
    "\u2018curly\u2019 \u201cquotes\u201d \u2014 dash \u2026 ellipsis",
    "non\u00a0breaking \u2003em \u3000ideographic \u200bzero\ufeffwidth",
    "control\u0000 \u0007bell \u0085next \ufffd replaced",
    "x" * 120 + " long",
    "\u2581already \u2581marked",
    "numbers 2023 then  42\n\n7",
    "<s>special</s> in <|mark|> text<|mark|>",
    "[CLS] and [UNK] and [MASK]done",
    "plain<extra> tokens <extra>again   <extra>",
    "MiXeD CaSe ANTIDISESTABLISHMENTARIANISM",
    "\U0001d518\U0001d52b\U0001d526 \ufb01ne \uff21\uff22 \u2460",
]
CORPUS = TEXTS[2:20] + [
    "the quick brown fox jumps over the lazy dog and the rabbit ran into the hole",
    "she had never seen a rabbit with either a waistcoat pocket or a watch to take out of it",
    "quoted words and numbers and spaces and lines",
] * 4


def byte_bpe(pre, normalizer=None, post=None, added=()) -> Tokenizer:
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre
    if normalizer is not None:
        tok.normalizer = normalizer
    tok.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=420, show_progress=False, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"])
    tok.train_from_iterator(CORPUS, trainer)
    tok.add_special_tokens(["<|mark|>"])
    for token in added:
        tok.add_tokens([token])
    if post is not None:
        tok.post_processor = post(tok)
    return tok


def split_bytes(pattern: str):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def bos(tok: Tokenizer, eos: bool = False):
    ids = [("<s>", tok.token_to_id("<s>")), ("</s>", tok.token_to_id("</s>"))]
    return processors.TemplateProcessing(single="<s> $A </s>" if eos else "<s> $A", special_tokens=ids)


def sentencepiece(normalizer, pre, byte_fallback: bool = True) -> Tokenizer:
    train = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    train.normalizer = normalizers.Replace(" ", "\u2581")
    trainer = trainers.BpeTrainer(vocab_size=220, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"], limit_alphabet=60)
    train.train_from_iterator(CORPUS[18:], trainer)
    state = json.loads(train.to_str())["model"]
    vocab = state["vocab"]
    if byte_fallback:
        for byte in range(256):
            vocab[f"<0x{byte:02X}>"] = len(vocab)
    tok = Tokenizer(models.BPE(vocab, [tuple(m) for m in state["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    tok.add_special_tokens(["<unk>", "<s>", "</s>"])
    if normalizer is not None:
        tok.normalizer = normalizer
    if pre is not None:
        tok.pre_tokenizer = pre
    tok.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.post_processor = bos(tok)
    return tok


def wordpiece(lowercase: bool) -> Tokenizer:
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tok.train_from_iterator(CORPUS[18:], trainers.WordPieceTrainer(vocab_size=200, show_progress=False, special_tokens=specials))
    ids = [(s, tok.token_to_id(s)) for s in ("[CLS]", "[SEP]")]
    tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    tok.decoder = decoders.WordPiece()
    return tok


def tokenizers_json() -> dict[str, Tokenizer]:
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    extra = AddedToken("<extra>", lstrip=False, normalized=True)
    spaces = AddedToken("   ", normalized=True)
    meta = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    legacy = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    return {
        "gpt2": byte_bpe(gpt2, post=lambda t: processors.ByteLevel(trim_offsets=False)),
        "gpt2-trim": byte_bpe(gpt2, post=lambda t: processors.ByteLevel(trim_offsets=True, add_prefix_space=False)),
        "prefix-space": byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True), post=lambda t: processors.ByteLevel(trim_offsets=True)),
        "smollm": byte_bpe(digits),
        "llama3": byte_bpe(split_bytes(GGUF_PRE_TOKENIZER_SPLITS["llama-bpe"]), post=bos),
        "qwen2": byte_bpe(split_bytes(GGUF_PRE_TOKENIZER_SPLITS["qwen2"]), normalizer=normalizers.NFC()),
        "neox": byte_bpe(gpt2, normalizer=normalizers.NFC(), added=[extra, spaces]),
        "opt": byte_bpe(gpt2, post=lambda t: bos(t)),
        "llama-metaspace": sentencepiece(None, meta),
        "llama-legacy": sentencepiece(legacy, None),
        "llama-unknown": sentencepiece(legacy, None, byte_fallback=False),
        "bert-uncased": wordpiece(True),
        "bert-cased": wordpiece(False),
    }


def golden(tok: Tokenizer) -> dict:
    plain = [tok.encode(text, add_special_tokens=False) for text in TEXTS]
    return {
        "ids": [e.ids for e in plain],
        "offsets": [[list(o) for o in e.offsets] for e in plain],
        "special": tok.encode(TEXTS[2]).ids,
        "decoded": [tok.decode(e.ids) for e in plain],
    }


def gguf_metadata(name: str, tok: Tokenizer) -> dict:
    """The tokenizer as llama.cpp's converter would store it."""
    state = json.loads(tok.to_str())
    vocab = {**state["model"]["vocab"], **{t["content"]: t["id"] for t in state["added_tokens"]}}
    tokens = [token for token, _ in sorted(vocab.items(), key=lambda item: item[1])]
    special = {t["content"]: t["special"] for t in state["added_tokens"]}
    kind = lambda t: 6 if t.startswith("<0x") else 3 if special.get(t) else 4 if t in special else 1  # noqa: E731
    meta = {"tokens": tokens, "token_type": [kind(t) for t in tokens], "bos_token_id": vocab["<s>"], "eos_token_id": vocab["</s>"]}
    merges = [m if isinstance(m, str) else " ".join(m) for m in state["model"]["merges"]]
    if name == "gguf-llama":
        ranks = {m.replace(" ", ""): i for i, m in reversed(list(enumerate(merges)))}
        scores = [-float(ranks.get(t, len(merges) + i)) for i, t in enumerate(tokens)]
        return {**meta, "model": "llama", "pre": "default", "scores": scores, "unknown_token_id": 0}
    pre = {"gguf-gpt2": "default", "gguf-smollm": "smollm", "gguf-llama3": "llama-bpe", "gguf-qwen2": "qwen2"}[name]
    return {**meta, "model": "gpt2", "pre": pre, "merges": merges, "add_bos_token": name == "gguf-llama3"}


def write_gguf(path: Path, meta: dict) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model(meta["model"])
    writer.add_tokenizer_pre(meta["pre"])
    writer.add_token_list(meta["tokens"])
    writer.add_token_types(meta["token_type"])
    writer.add_bos_token_id(meta["bos_token_id"])
    writer.add_eos_token_id(meta["eos_token_id"])
    if "scores" in meta:
        writer.add_token_scores(meta["scores"])
        writer.add_unk_token_id(meta["unknown_token_id"])
    if "merges" in meta:
        writer.add_token_merges(meta["merges"])
    if "add_bos_token" in meta:
        writer.add_add_bos_token(meta["add_bos_token"])
    for key, value in {"block_count": 1, "context_length": 8, "embedding_length": 8, "feed_forward_length": 8}.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_uint32("llama.attention.head_count", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_gguf(path: Path):
    return transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).backend_tokenizer


def dump(name: str, value) -> None:
    (OUT / f"{name}.json").write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    dump("texts", TEXTS)
    made = tokenizers_json()
    for name, tok in made.items():
        dump(name, {"tokenizer": json.loads(tok.to_str()), **golden(tok)})
    sources = {"gguf-gpt2": "gpt2", "gguf-smollm": "smollm", "gguf-llama3": "llama3", "gguf-qwen2": "qwen2", "gguf-llama": "llama-metaspace"}
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources.items():
            meta = gguf_metadata(name, made[source])
            path = Path(folder) / f"{name}.gguf"
            write_gguf(path, meta)
            dump(name, {"gguf": {f"tokenizer.ggml.{k}": v for k, v in meta.items()}, **golden(read_gguf(path))})
    if len(sys.argv) == 3:
        smollm = read_gguf(Path(sys.argv[1]))
        minilm = Tokenizer.from_file(str(Path(sys.argv[2]) / "tokenizer.json"))
        minilm.no_truncation()
        minilm.no_padding()
        dump("real", {"smollm2-135m": golden(smollm), "minilm": golden(minilm)})
    versions = {m.__name__: m.__version__ for m in (tokenizers, transformers)}
    dump("versions", versions)


if __name__ == "__main__":
    main()
