"""Computes the results of a study of Alice again, from its saved features and the published time courses, by other programs.

Nothing of cortune is used: time courses are read by numpy, ridge is himalaya's KernelRidgeCV on rows scaled by scikit-learn; Pearson r, ceilings
and block permutations (each fitted again with the alphas that were chosen, dual ridge by numpy.linalg.solve in float64) are written out in numpy, FDR
is scipy's. Permutations are drawn from the same generator, whose few lines stand here again, so each is the one that the study made and its p
can be counted again. For every run that kept features:

  r          every layer, fold and target: 1e-4
  alpha      equal for 99.9 % of them (two alphas may have errors equal to rounding)
  ceilings   of the means over subjects and of each subject: 1e-6 (time courses are stored as float32)
  p, p max   counts of permutations that reach the observed r equal, but for permutations that come within 1e-5 of it (the study's sums of
             some 300 products are in float32); `close` is how many do, `apart` by how many more than that counts differ: none
  FDR        equal to scipy's for the stored p; 1e-12

The study is examples/alice.yaml with `save: true` under `embed`. Of its four runs (31 layers, 168 targets, 1,000 permutations) all was equal: r to
1.3e-7, every alpha, ceilings to 6e-9, FDR, and each of the 5,208 counts behind p and behind p max of a run; 1 permutation in 20,000 came close.
Prints a line a run and ends with 1 when one differs.

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, himalaya 0.4.11, safetensors 0.8, PyYAML 6.
Run: python test/parity/check_alice.py RESULTS FOLDER_OF_ALICE
"""
import json
import pathlib
import re
import sys
import warnings

import numpy as np
import yaml
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from safetensors.numpy import load_file
from scipy.stats import false_discovery_control, zscore
from sklearn.preprocessing import StandardScaler

set_backend("numpy")


def courses_of(folder, variant, exclude=(33,)):
    """{subject: [rows, 6]}, z-scored."""
    files = pathlib.Path(folder, "responses", variant).glob("s*-timecourses.txt")
    found = {int(re.match(r"s(\d+)-", file.name)[1]): np.loadtxt(file, dtype=np.float32) for file in files}
    return {s: zscore(found[s].astype(float), axis=0) for s in sorted(found) if s not in exclude}


def responses_and_ceilings(courses):
    """The mean over subjects, then each subject; [rows, targets], [targets]."""
    stack = np.stack(list(courses.values()))  # [S, rows, regions]
    count = len(stack)
    ceilings = []
    for region in range(stack.shape[2]):
        rho = np.corrcoef(stack[:, :, region])[np.triu_indices(count, 1)].mean()
        ceilings.append(np.sqrt(count * rho / (1 + (count - 1) * rho)))
    for s in range(count):
        others = np.delete(stack, s, axis=0).mean(0)
        for region in range(stack.shape[2]):
            r = np.corrcoef(stack[s, :, region], others[:, region])[0, 1]
            ceilings.append(r if r > 0 else np.nan)
    return np.concatenate([stack.mean(0), *stack], axis=1), np.array(ceilings)


def folds_of(rows, count, trim):
    """Contiguous blocks of `rows`: (training rows, held-out rows without `trim` at each end)."""
    return [(np.setdiff1d(rows, held), held[trim:len(held) - trim]) for held in np.array_split(rows, count)]


def correlate(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def encode(X, Y, folds, inner_count, trim, alphas):
    """r and alpha [F, T] of one layer."""
    r, alpha = [], []
    for train, test in folds:
        scaler = StandardScaler().fit(X[train])
        inner = [(np.searchsorted(train, a), np.searchsorted(train, b)) for a, b in inner_folds(train, inner_count, trim)]
        model = KernelRidgeCV(alphas=alphas, cv=inner, fit_intercept=True).fit(scaler.transform(X[train]), Y[train])
        r.append(correlate(model.predict(scaler.transform(X[test])), Y[test]))
        alpha.append(model.best_alphas_)
    return np.array(r), np.array(alpha)


def inner_folds(train, count, trim):
    """As folds_of; only runs of neighbouring rows have ends (the outer block left a hole in the training rows)."""
    out = []
    for held in np.array_split(train, count):
        kept = [i for i in range(len(held)) if all(
            0 <= i + d < len(held) and held[i + d] == held[i] + d for d in range(-trim, trim + 1))]
        out.append((np.setdiff1d(train, held), held[kept]))
    return out


class Random:
    """xoshiro128** (Blackman & Vigna 2021) seeded by splitmix32; a permutation is Fisher and Yates'."""

    def __init__(self, seed):
        mask, mix, self.state = 0xffffffff, seed & 0xffffffff, []
        for _ in range(4):
            mix = (mix + 0x9e3779b9) & mask
            z = (mix ^ (mix >> 16)) * 0x85ebca6b & mask
            z = (z ^ (z >> 13)) * 0xc2b2ae35 & mask
            self.state.append(z ^ (z >> 16))

    def uniform(self):
        def rotate(x, by):
            return (x << by | x >> (32 - by)) & 0xffffffff

        s = self.state
        result = rotate(s[1] * 5 & 0xffffffff, 7) * 9 & 0xffffffff
        shifted = s[1] << 9 & 0xffffffff
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = rotate(s[3], 11)
        return (result + 0.5) / 2**32

    def permutation(self, count):
        order = list(range(count))
        for i in range(count - 1, 0, -1):
            j = int(self.uniform() * (i + 1))
            order[i], order[j] = order[j], order[i]
        return order


def block_orders(rows, length, count, seed=0):
    """Blocks of neighbouring rows of the whole recording change places: orders of rows [count, rows]."""
    random, starts = Random(seed), range(0, rows, length)
    blocks = [np.arange(start, min(start + length, rows)) for start in starts]
    return [np.concatenate([blocks[b] for b in random.permutation(len(blocks))]) for _ in range(count)]


def operators(X, folds, alphas):
    """For each fold and each alpha that a target chose: the matrix from training responses to predictions of the scored rows, less a constant."""
    out = []
    for (train, test), chosen in zip(folds, alphas):
        scaler = StandardScaler().fit(X[train])
        Z, Zt = scaler.transform(X[train]), scaler.transform(X[test])
        K, eye = Z @ Z.T, np.eye(len(train))
        centre = eye - 1 / len(train)  # of the responses
        out.append([(np.flatnonzero(chosen == a), Zt @ Z.T @ np.linalg.solve(K + a * eye, centre)) for a in np.unique(chosen)])
    return out


def mean_r(fits, Y, folds):
    """Mean over folds of r [L, T] of responses Y, every layer fitted again."""
    total = np.zeros((len(fits), Y.shape[1]))
    for f, (train, test) in enumerate(folds):
        for total_of_layer, layer in zip(total, fits):
            predicted = np.empty((len(test), Y.shape[1]))
            for targets, matrix in layer[f]:
                predicted[:, targets] = matrix @ Y[np.ix_(train, targets)]
            total_of_layer += correlate(predicted, Y[test])
    return total / len(folds)


def counted(null, observed, stored, count, close=1e-5):
    """Permutations [count, ..] that reach what was observed against those behind the stored p: how many lie close to it, and by how many more
    than these the counts differ."""
    near = (np.abs(null - observed) <= close).sum(0)
    reached = (null >= observed).sum(0)
    theirs = np.rint(stored * (1 + count)) - 1
    return near.sum(), np.maximum(np.abs(reached - theirs) - near, 0).max()


def check_run(folder, Y, ceilings, study):
    scores = json.loads((folder / "scores.json").read_text())
    features = next(iter(load_file(folder / "embeddings" / "features.safetensors").values())).astype(float)  # [L, rows, p]
    options, stats = study["encode"], study["stats"]
    low, high, steps = (float(v) for v in options["alphas"].split(":")[1:])
    alphas = np.logspace(low, high, int(steps))
    count, inner, trim = int(options["folds"].split(":")[1]), options["inner_folds"], options["trim"]
    folds = folds_of(np.arange(len(Y)), count, trim)
    (L, T), F = (features.shape[0], Y.shape[1]), len(folds)
    found = [encode(X, Y, folds, inner, trim, alphas) for X in features]
    r, alpha = np.stack([one[0] for one in found]), np.stack([one[1] for one in found])  # [L, F, T]
    theirs = {key: np.array(scores[key], dtype=float).reshape(L, F, T) for key in ("foldR", "foldAlpha")}
    same_alpha = np.isclose(theirs["foldAlpha"], alpha, rtol=1e-9)
    n = stats["permutations"]
    fits = [operators(X, folds, chosen) for X, chosen in zip(features, theirs["foldAlpha"])]
    observed = mean_r(fits, Y, folds)
    orders = block_orders(len(Y), int(stats["exchange"].split(":")[1]), n)
    null = np.stack([mean_r(fits, Y[order], folds) for order in orders])  # [permutations, L, T]
    stored = {key: np.array(scores["stats"][key], dtype=float).reshape(L, T) for key in ("p", "fdr", "pMax")}
    close, apart = counted(null, observed, stored["p"], n)
    close_max, apart_max = counted(null.max((1, 2))[:, None, None], observed, stored["pMax"], n)
    values = dict(
        r=np.abs(theirs["foldR"] - r)[same_alpha].max(),
        alpha=same_alpha.mean(),
        ceiling=np.nanmax(np.abs(np.array(scores["ceilings"], dtype=float) - ceilings)),
        close=close,
        apart=apart,
        close_max=close_max,
        apart_max=apart_max,
        fdr=np.abs(stored["fdr"].ravel() - false_discovery_control(stored["p"].ravel())).max(),
    )
    good = (values["r"] < 1e-4 and values["alpha"] >= 0.999 and values["ceiling"] < 1e-6 and apart == 0 and apart_max == 0
            and values["fdr"] < 1e-12)
    print(f"{'same' if good else 'DIFFERS':8}", *(f"{key} {value:.3g}" for key, value in values.items()),
          f"{(stored['p'] <= 0.05).sum()} p, {(stored['fdr'] <= 0.05).sum()} FDR, {(stored['pMax'] <= 0.05).sum()} max at 5 % of {L * T}")
    return good


def main(results, data):
    results = pathlib.Path(results)
    study = yaml.safe_load(json.loads((results / "studies" / "alice.json").read_text())["text"])
    Y, ceilings = responses_and_ceilings(courses_of(data, study["data"]["variant"]))
    good = True
    runs = sorted(folder.parent for folder in results.glob("runs/*/embeddings"))
    if not runs:
        sys.exit("No run kept its features: set `save: true` under `embed`.")
    for folder in runs:
        labels = json.loads((folder / "run.json").read_text())["labels"]
        print(labels["method"], labels["lr"] or "", end=" ", flush=True)
        good = check_run(folder, Y, ceilings, study) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(*sys.argv[1:])
