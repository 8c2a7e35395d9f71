"""Makes test/fixtures/analysis/similarity.json: matching, RDMs, their comparison and ceilings, CKA, Procrustes by references.

rsatoolbox: calc_rdm, compare, boot_noise_ceiling; its `euclidean` is the squared distance over the number of columns.
numpy double loop for 2v2 (Mitchell et al. 2008); scipy.spatial for Procrustes and for the other distances; CKA by its formula in float64, and
debiased by the unbiased HSIC of Song et al. (2012).
With the folder of the 92 objects as argument, also the numbers of that data set (Kriegeskorte et al. 2008; Mur et al. 2013).

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, rsatoolbox 0.3.2. Seeds are in the code.
Run: python test/parity/make_similarity_goldens.py FOLDER_OF_OBJECTS92
"""
import json
import pathlib
import sys

import numpy as np
import scipy.io
import scipy.stats
from rsatoolbox.data import Dataset
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, compare
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "analysis"
METHODS = {"spearman": "spearman", "tau-a": "tau-a", "pearson": "corr", "cosine": "cosine"}


def two_vs_two(D, Z, metric):
    def s(i, j):
        if metric == "cosine":
            return D[i] @ Z[j] / np.linalg.norm(D[i]) / np.linalg.norm(Z[j])
        return np.corrcoef(D[i], Z[j])[0, 1]
    n = len(D)
    S = np.array([[s(i, j) for j in range(n)] for i in range(n)])
    wins = sum(S[i, i] + S[j, j] > S[i, j] + S[j, i] for i in range(n) for j in range(i + 1, n))
    ranks = [scipy.stats.rankdata(-S[i])[i] for i in range(n)]
    return dict(wins=int(wins), ranks=[float(r) for r in ranks])


def hsic1(K, L):
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    one = np.ones(n)
    return (np.trace(K @ L) + one @ K @ one * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ K @ L @ one) / (n * (n - 3))


def cka(X, Y, debiased):
    X, Y = X - X.mean(0), Y - Y.mean(0)
    if debiased:
        K, L = X @ X.T, Y @ Y.T
        return hsic1(K, L) / np.sqrt(hsic1(K, K) * hsic1(L, L))
    return np.linalg.norm(X.T @ Y) ** 2 / np.linalg.norm(X.T @ X) / np.linalg.norm(Y.T @ Y)


def procrustes_distance(X, Y):
    width = max(X.shape[1], Y.shape[1])  # scipy wants equal shapes; columns of zeros change nothing
    pad = lambda A: np.pad(A, ((0, 0), (0, width - A.shape[1])))
    _, _, disparity = procrustes(pad(X), pad(Y))  # 1 - nuclear^2: after the best scale, too
    return 2 - 2 * np.sqrt(1 - disparity)


def rsa(vectors):
    data = RDMs(np.array(vectors))
    out = {}
    for ours, theirs in METHODS.items():
        lower, upper = boot_noise_ceiling(data, method=theirs)
        pairs = compare(data, data, method=theirs)
        out[ours] = dict(lower=float(lower), upper=float(upper),
                         pairs=[float(pairs[i, j]) for i in range(len(vectors)) for j in range(i + 1, len(vectors))])
    return out


def rounded(values, digits=3):
    return [round(float(v), digits) for v in np.ravel(values)]


rng = np.random.default_rng(11)
n, p, q = 24, 30, 9
Z = np.round(rng.normal(size=(n, p)) + rng.normal(size=p), 3).astype(np.float32).astype(float)
D = np.round(0.4 * Z + rng.normal(size=(n, p)), 3).astype(np.float32).astype(float)
D[7] = D[3]  # a tie: rows 3 and 7 are not told apart
Z[7] = Z[3]
Y = np.round(Z[:, :q] ** 2 + 0.3 * rng.normal(size=(n, q)), 3).astype(np.float32).astype(float)
dataset = Dataset(Z)
golden = dict(
    n=n, p=p, q=q, actual=rounded(Z), predicted=rounded(D), other=rounded(Y),
    match={metric: two_vs_two(D, Z, metric) for metric in ("correlation", "cosine")},
    rdm={
        "correlation": calc_rdm(dataset, method="correlation").dissimilarities[0].tolist(),
        "sqeuclidean": (calc_rdm(dataset, method="euclidean").dissimilarities[0] * p).tolist(),
        "euclidean": pdist(Z).tolist(),
        "cosine": pdist(Z, "cosine").tolist(),
    },
    cka=cka(Z, Y, False), ckaDebiased=cka(Z, Y, True), ckaWide=cka(Z, D, True), procrustes=procrustes_distance(Z, Y),
)
# Subjects whose RDMs share a geometry, with ties.
subjects = [np.round(pdist(Z + rng.normal(size=Z.shape)) * 2) for _ in range(5)]
golden["subjects"] = [s.tolist() for s in subjects]
golden["rsa"] = rsa(subjects)

if len(sys.argv) > 1:
    folder = pathlib.Path(sys.argv[1])
    brain = scipy.io.loadmat(folder / "92_brainRDMs.mat")["RDMs"]  # [1, 4 subjects, 2 sessions]
    upper = np.triu_indices(92, 1)
    sessions = np.array([[np.asarray(brain[0, s, k]["RDM"], float)[upper] for k in range(2)] for s in range(4)])
    behaviour = scipy.io.loadmat(folder / "92_behavRDMs.mat")["rdms_behav_92"]
    judged = np.array([np.asarray(behaviour[0, s]["RDM"], float)[upper] for s in range(16)])
    monkey = scipy.io.loadmat(folder / "Kriegeskorte_Neuron2008_supplementalData.mat")["RDMs_mIT_hIT_fig1"]
    figure = np.array([np.ravel(monkey[0, k]["RDM"]).astype(float) for k in range(2)])  # vectors already
    golden["objects"] = dict(
        brain=rsa(sessions.mean(1)), behaviour=rsa(judged), species=rsa(figure),
        names=[str(brain[0, 0, 0]["name"][0]), str(behaviour[0, 0]["name"][0]), str(monkey[0, 0]["name"][0])],
        firstPairs=rounded(sessions[0, 0][:3], 12))
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "similarity.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
