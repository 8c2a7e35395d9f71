"""Computes the results of a study of Alice again, from its saved features and the published time courses, by other programs.

Nothing of cortune is used: time courses are read by numpy, ridge is himalaya's KernelRidgeCV on rows scaled by scikit-learn; Pearson r, ceilings
and block permutations (each fitted again with the alphas that were chosen) are written out in numpy with draws of their own, FDR is scipy's. For every run that kept features:

  r          every layer, fold and target: 1e-4
  alpha      equal for 99.9 % of them (two alphas may have errors equal to rounding)
  ceilings   of the means over subjects and of each subject: 1e-6 (time courses are stored as float32)
  p, p max   within five standard errors of the difference of two Monte Carlo estimates, or 2 / permutations
  FDR        equal to scipy's for the stored p; discoveries at 5 % differ in no more layers and targets (and 5) than those from either half of
             the permutations made here

The study is examples/alice.yaml with `save: true` under `embed`. Prints a line a run and ends with 1 when one differs.

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


def operators(X, folds, alphas):
    """For each fold and each alpha that a target chose: the matrix from training responses to predictions of the scored rows, less a constant."""
    out = []
    for (train, test), chosen in zip(folds, alphas):
        scaler = StandardScaler().fit(X[train])
        Z, Zt = scaler.transform(X[train]), scaler.transform(X[test])
        K, eye = Z @ Z.T, np.eye(len(train))
        centre = eye - 1 / len(train)  # of the responses
        out.append([(np.flatnonzero(chosen == a), (Zt @ Z.T @ np.linalg.solve(K + a * eye, centre)).astype(np.float32)) for a in np.unique(chosen)])
    return out


def mean_r(fits, Y, folds):
    """Mean over folds of r [L, T] of responses Y, every layer fitted again."""
    total = np.zeros((len(fits), Y.shape[1]))
    for f, (train, test) in enumerate(folds):
        y, truth = Y[train], Y[test] - Y[test].mean(0)
        truth = truth / np.sqrt((truth * truth).sum(0))
        for total_of_layer, layer in zip(total, fits):
            predicted = np.empty(truth.shape, np.float32)
            for targets, matrix in layer[f]:
                predicted[:, targets] = matrix @ y[:, targets]
            predicted -= predicted.mean(0)
            total_of_layer += (predicted * truth).sum(0) / np.sqrt((predicted * predicted).sum(0))
    return total / len(folds)


def block_permutations(fits, Y, folds, length, count, rng):
    """Blocks of rows of the whole recording change places, training rows among them. For every permutation: does it reach r [count, L T], and
    its largest r [count]; the observed r [L, T]."""
    Y = Y.astype(np.float32)
    observed = mean_r(fits, Y, folds)
    reached, largest = [], []
    for _ in range(count):
        starts = np.arange(0, len(Y), length)
        order = np.concatenate([np.arange(s, min(s + length, len(Y))) for s in rng.permutation(starts)])
        r = mean_r(fits, Y[order], folds)
        reached.append((r >= observed - 1e-6).ravel())
        largest.append(r.max())
    return observed, np.array(reached), np.array(largest)


def apart(p, q, count):
    """Of two Monte Carlo estimates of one p, in standard errors of their difference; below 2 / count always 0."""
    middle = np.clip((p + q) / 2, 1 / count, 1)
    error = np.sqrt(2 * middle * (1 - middle) / count + 1e-12)
    return np.where(np.abs(p - q) <= 2 / count, 0, np.abs(p - q) / error)


def check_run(folder, Y, ceilings, study, rng):
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
    fits = [operators(X, folds, chosen) for X, chosen in zip(features, alpha)]
    observed, reached, largest = block_permutations(fits, Y, folds, int(stats["exchange"].split(":")[1]), n, rng)
    p = (1 + reached.sum(0)) / (1 + n)
    p_max = (1 + (largest[None] >= observed.ravel()[:, None] - 1e-6).sum(1)) / (1 + n)
    halves = [(1 + half.sum(0)) / (1 + len(half)) for half in (reached[: n // 2], reached[n // 2:])]
    stored = {key: np.array(scores["stats"][key], dtype=float) for key in ("p", "fdr", "pMax")}
    fdr = false_discovery_control(stored["p"])
    discovered = [false_discovery_control(values) <= 0.05 for values in (p, *halves)]
    values = dict(
        r=np.abs(theirs["foldR"] - r)[same_alpha].max(),
        alpha=same_alpha.mean(),
        ceiling=np.nanmax(np.abs(np.array(scores["ceilings"], dtype=float) - ceilings)),
        p=apart(stored["p"], p, n).max(),
        p_max=apart(stored["pMax"], p_max, n).max(),
        fdr=np.abs(stored["fdr"] - fdr).max(),
        discoveries=np.sum((stored["fdr"] <= 0.05) != discovered[0]),
        by_chance=np.sum(discovered[1] != discovered[2]),
    )
    good = (values["r"] < 1e-4 and values["alpha"] >= 0.999 and values["ceiling"] < 1e-6 and values["p"] < 5 and values["p_max"] < 5
            and values["fdr"] < 1e-12 and values["discoveries"] <= values["by_chance"] + 5)
    print(f"{'same' if good else 'DIFFERS':8}", *(f"{key} {value:.3g}" for key, value in values.items()),
          f"of {(stored['fdr'] <= 0.05).sum()} among {L * T}")
    return good


def main(results, data):
    results = pathlib.Path(results)
    study = yaml.safe_load(json.loads((results / "studies" / "alice.json").read_text())["text"])
    Y, ceilings = responses_and_ceilings(courses_of(data, study["data"]["variant"]))
    rng, good = np.random.default_rng(8), True
    runs = sorted(folder.parent for folder in results.glob("runs/*/embeddings"))
    if not runs:
        sys.exit("No run kept its features: set `save: true` under `embed`.")
    for folder in runs:
        labels = json.loads((folder / "run.json").read_text())["labels"]
        print(labels["method"], labels["lr"] or "", end=" ", flush=True)
        good = check_run(folder, Y, ceilings, study, rng) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(*sys.argv[1:])
