"""Makes test/fixtures/analysis/statistics.json: tests, adjustments, ceilings and classifiers by scipy and scikit-learn.

Explainable variance is the formula of the voxelwise modelling tutorials (voxelwise_tutorials.utils.explainable_variance), written
out in numpy. The extrapolation is scipy.optimize.curve_fit of v0 (1 - exp(-x / tau)).

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. Seeds are in the code.
Run: python test/parity/make_statistics_goldens.py
"""
import json
import pathlib
import warnings

import numpy as np
from scipy import optimize, stats
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "analysis"
rng = np.random.default_rng(21)


def numbers(values, digits=4):
    return [round(float(v), digits) for v in np.ravel(values)]


def wilcoxon_case(d, method):
    out = dict(differences=numbers(d))
    for alternative in ("two-sided", "greater", "less"):
        result = stats.wilcoxon(d, alternative=alternative, method=method, correction=False)
        out[alternative] = float(result.pvalue)
    out["statistic"] = float(stats.wilcoxon(d, alternative="greater").statistic)
    return out


plain = np.round(rng.normal(0.3, 1, 20), 4)
tied = np.round(rng.normal(0.3, 1, 12), 0)  # zeros and ties
long = np.round(rng.normal(0.05, 1, 400), 1)
golden = dict(
    wilcoxon=[wilcoxon_case(plain, "exact"), wilcoxon_case(tied, stats.PermutationMethod(n_resamples=10**6)),
              wilcoxon_case(long, "asymptotic")],
    tail=[[z, float(stats.norm.sf(z))] for z in (-3, -0.5, 0, 0.1, 1, 2.5, 3.5, 3.6, 6, 12, 30)],
)
p = np.round(rng.uniform(size=30) ** 3, 5)
golden["fdr"] = dict(p=p.tolist(), adjusted=stats.false_discovery_control(p).tolist())
x, y = np.round(rng.normal(size=40), 1), np.round(rng.normal(size=40), 1)
golden["ranks"] = dict(x=x.tolist(), y=y.tolist(), ranks=stats.rankdata(x).tolist(), spearman=float(stats.spearmanr(x, y).statistic))
differences = np.round(rng.normal(0.4, 1, 9), 3)
t = stats.permutation_test((differences,), lambda d, axis=-1: np.mean(d, axis=axis), permutation_type="samples", n_resamples=10**6)
golden["signFlip"] = dict(differences=differences.tolist(), p=float(t.pvalue), t=float(stats.ttest_1samp(differences, 0).statistic),
                          dz=float(differences.mean() / differences.std(ddof=1)))

# Repetitions: [R, n], variance of the signal 1, of the noise 1.5.
signal = rng.normal(size=80)
courses = np.round(signal + rng.normal(size=(6, 80)) * 1.5 ** 0.5, 3)
z = stats.zscore(courses, axis=1)
ev = 1 - (z - z.mean(0)).var(axis=1).mean()
halves = []
for bits in range(1, 64, 2):
    first = [i for i in range(6) if bits >> i & 1]
    if len(first) == 3:
        halves.append(np.corrcoef(courses[first].mean(0), courses[[i for i in range(6) if i not in first]].mean(0))[0, 1])
r = float(np.mean(halves))
rho = np.corrcoef(courses)[np.triu_indices(6, 1)].mean()
curve_x = np.arange(1, 8)
curve_y = np.round(0.62 * (1 - np.exp(-curve_x / 2.3)) + rng.normal(size=7) * 0.01, 4)
(v0, tau), _ = optimize.curve_fit(lambda x, v0, tau: v0 * (1 - np.exp(-x / tau)), curve_x, curve_y, p0=(0.5, 1), xtol=1e-14, ftol=1e-14)
golden["ceilings"] = dict(courses=courses.tolist(), ev=float(ev - (1 - ev) / 5), splitHalf=r, reliability=2 * r / (1 + r),
                          # One against the mean of the others; of the mean, by Spearman and Brown from the mean r of pairs.
                          interSubject=[float(np.corrcoef(z[s], np.delete(z, s, 0).mean(0))[0, 1]) for s in range(6)],
                          group=float(np.sqrt(6 * rho / (1 + 5 * rho))),
                          curve=dict(x=curve_x.tolist(), y=curve_y.tolist(), v0=float(v0), tau=float(tau)))


def classifier_case(n, q, classes, c, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = rng.normal(size=(classes, q))
    X = np.round(centres[labels] * 0.5 + rng.normal(size=(n, q)), 2).astype(np.float32).astype(float)
    def predicted(model):
        out = np.full(n, -1)
        for test in np.array_split(np.arange(n), 4):
            train = np.setdiff1d(np.arange(n), test)
            out[test] = make_pipeline(StandardScaler(), model).fit(X[train], labels[train]).predict(X[test])
        return out

    logistic = predicted(LogisticRegression(C=c, tol=1e-10, max_iter=10000))
    ridge = predicted(RidgeClassifier(alpha=5.0, solver="svd"))
    return dict(features=numbers(X, 2), shape=[n, q], classes=classes, c=c, labels=labels.tolist(), predicted=logistic.tolist(),
                ridge=ridge.tolist(), balanced=float(balanced_accuracy_score(labels, ridge)))


# Percentile intervals of a mean over subjects: scipy draws its own resamples.
bootstrap = stats.bootstrap((differences,), np.mean, n_resamples=200_000, method="percentile", rng=np.random.default_rng(5))
golden["bootstrap"] = dict(lower=float(bootstrap.confidence_interval.low), upper=float(bootstrap.confidence_interval.high),
                           error=float(bootstrap.standard_error))
golden["classifiers"] = [classifier_case(60, 8, 3, 1.0, 1), classifier_case(40, 70, 4, 0.1, 2), classifier_case(50, 12, 2, 0.3, 3)]
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "statistics.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
