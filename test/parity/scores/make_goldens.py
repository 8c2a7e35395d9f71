"""What rouge-score, sacrebleu, SQuAD's script and bert-score make of a few texts: test/fixtures/metrics/golden.json.

Run from the repository's root; needs rouge-score, sacrebleu, bert-score. SQuAD's evaluation script is no package: its two functions are written
out here after its description. The encoder of bert-score is the tiny random BERT of test/fixtures/models.
"""

import json
import re
import string
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import bert_score
import sacrebleu
import transformers
from rouge_score import rouge_scorer

# bert-score asks tokenizers for an empty text by a function that these transformers no longer have.
transformers.PreTrainedTokenizerBase.build_inputs_with_special_tokens = lambda self, ids: self.encode("")

PREDICTIONS = [
    "The cat sat on the mat.",
    "a rabbit, running over the hills; it hid under an old bridge",
    "Nothing in common",
    "In 1984, 3.5 million people (or 2,000,000?) travelled - by train-lines & \"buses\" &amp; boats.",
    "Generously relational flies died happily\nThe controlling agencies were hopping\nskies and inning's rationalization of possibly fully logical apologies",
    "the the the the",
    "",
    "Le chat noir dort près de l'église, n'est-ce pas ?",
    "short",
    "She asked whether anyone had seen it and nobody answered because the room was empty.",
    "An answer: the Eiffel-Tower!",
    "42",
]
REFERENCES = [
    ["The cat is on the mat.", "There is a cat on the mat."],
    ["The rabbit ran over a small hill and hid under the old bridge.", "A rabbit ran."],
    ["Entirely different words", "nothing"],
    ["In 1984, 3.5 million people travelled by train-lines and \"buses\".", "3.5 million people travelled."],
    ["A general relation of dying flies\nControlled agency hopped\nThe sky and innings rationalized the possible logic of apology", "flies"],
    ["the cat the dog", "the"],
    ["something", "anything else"],
    ["Le chat noir dort près de l'église.", "Un chat dort, n'est-ce pas ?"],
    ["a short one", "short"],
    ["Nobody answered her, because the room was empty and cold.", "she asked whether anyone had seen it"],
    ["the Eiffel Tower", "eiffel tower"],
    ["The 42", "forty two"],
]
# Every suffix rule of the stemmer, and the words with stems of their own.
WORDS = """caresses ponies ties caress cats feed agreed disabled matting mating meeting milling messing meetings sized hopping tanned
falling hissing fizzed failing filing happy sky enjoy relational conditional rational valenci hesitanci digitizer conformabli radicalli
differentli vileli analogousli vietnamization predication operator feudalism decisiveness hopefulness callousness formaliti sensitiviti
sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival allowance inference airliner gyroscopic
adjustable defensible irritant replacement adjustment dependent adoption homologou communism activate angulariti homologous effective
bowdlerize probate rate cease controll roll skies dying lying tying news innings inning outings cannings howe proceed exceed succeed
died spied cried flies dies used owed eying yellow yoyo syzygy oaten apologi geologi fully beautifully is as by usefully generalli""".split()


def normalize(text: str) -> str:
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(prediction: str, gold: str) -> float:
    own, theirs = normalize(prediction).split(), normalize(gold).split()
    same = sum((Counter(own) & Counter(theirs)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(own), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


def squad() -> dict:
    pairs = list(zip(PREDICTIONS, REFERENCES))
    return {
        "exact": [float(max(normalize(p) == normalize(g) for g in golds)) for p, golds in pairs],
        "f1": [max(f1(p, g) for g in golds) for p, golds in pairs],
    }


def rouge(stemmer: bool) -> list:
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stemmer)
    return [
        {kind: list(score) for kind, score in scorer.score_multi(golds, p).items()} for p, golds in zip(PREDICTIONS, REFERENCES)
    ]


def corpora() -> list:
    """Corpora of a few items: with one and with two references, with short predictions, without a match."""
    out = []
    for items, refs in (
        (range(12), 2), (range(12), 1), ([0, 1], 2), ([3], 1), ([7, 3], 1), ([2], 1), ([6], 1), ([8], 2), ([5, 9], 1),
    ):  # fmt: skip
        items = list(items)
        predictions = [PREDICTIONS[i] for i in items]
        references = [[REFERENCES[i][r] for i in items] for r in range(refs)]
        bleu = sacrebleu.corpus_bleu(predictions, references)
        out.append(
            {
                "items": items, "references": refs,
                "bleu": bleu.score, "precisions": bleu.precisions, "bp": bleu.bp, "length": bleu.sys_len, "referenceLength": bleu.ref_len,
                "chrf": sacrebleu.corpus_chrf(predictions, references).score,
                "chrf++": sacrebleu.corpus_chrf(predictions, references, word_order=2).score,
            }
        )  # fmt: skip
    return out


BERT = "test/fixtures/models/bert"


def bert() -> list:
    tokenizer = transformers.AutoTokenizer.from_pretrained(BERT)
    fits = lambda i: all(len(tokenizer.encode(text)) <= 48 for text in (PREDICTIONS[i], *REFERENCES[i]))  # noqa: E731: its context
    items = [i for i in range(len(PREDICTIONS)) if fits(i)]
    predictions, references = [PREDICTIONS[i] for i in items], [REFERENCES[i] for i in items]
    out = []
    with tempfile.TemporaryDirectory() as folder:
        baseline = Path(folder) / "baseline.tsv"
        rows = ["LAYER,P,R,F", *(f"{layer},0.{layer + 2}1,0.{layer + 3}2,0.{layer + 2}7" for layer in range(4))]
        baseline.write_text("\n".join(rows) + "\n")
        for layer, idf, rescale in ((2, False, False), (1, False, False), (2, True, False), (1, True, True)):
            options = dict(model_type=BERT, num_layers=layer, idf=idf)
            if rescale:
                options |= dict(rescale_with_baseline=True, baseline_path=str(baseline), lang="en")
            scores = bert_score.score(predictions, references, **options)
            numbers = [float(f) for f in rows[layer + 1].split(",")[1:]]
            case = {"items": items, "layer": layer, "idf": idf, "baseline": numbers if rescale else None}
            out.append(case | {key: part.tolist() for key, part in zip(("precision", "recall", "f"), scores)})
    return out


golden = {
    "versions": {name: version(name) for name in ("rouge-score", "sacrebleu", "bert-score", "transformers", "torch", "nltk")},
    "predictions": PREDICTIONS,
    "references": REFERENCES,
    "squad": squad(),
    "rouge": rouge(False),
    "rougeStemmed": rouge(True),
    "stems": {word: rouge_scorer.RougeScorer(["rouge1"], use_stemmer=True)._tokenizer._stemmer.stem(word) for word in WORDS},
    "corpora": corpora(),
    "bert": bert(),
}
Path("test/fixtures/metrics/golden.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
