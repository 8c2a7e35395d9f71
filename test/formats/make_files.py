"""Writes one small data set in every format, by the programs that people use: numpy, scipy, h5py, hdf5storage, xarray, pandas, nibabel.

Usage: python make_files.py FOLDER. `responses.npy` [40, 12] is what the others hold; `features.npy` [40, 5] predicts some of it. Seed 7.
"""
import json
import os
import struct
import sys
import zlib

import h5py
import hdf5storage
import nibabel as nib
import numpy as np
import pandas as pd
import pysubs2
import scipy.io
import webvtt
import xarray as xr

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
os.chdir(out)
random = np.random.default_rng(7)
expected = {}

rows, columns, width = 40, 12, 5
features = random.standard_normal((rows, width)).astype("f4")
responses = (features @ random.standard_normal((width, columns)) + random.standard_normal((rows, columns))).astype("f4")
names = [f"v{i}" for i in range(columns)]
rois = ["IFG"] * 5 + ["STG"] * 4 + ["AngG"] * 3
subjects = ["s1", "s2"] * (columns // 2)
texts = [f"Sentence {i} über {i * i}." for i in range(rows)]
passages = [f"p{i // 10}" for i in range(rows)]
np.save("features.npy", features)
np.save("responses.npy", responses)
np.savez("responses.npz", responses=responses, other=np.zeros(3))
np.savez_compressed("packed.npz", responses)
expected["rois"] = rois
expected["texts"] = texts

# Tables
frame = pd.DataFrame(responses.astype("f8"), columns=names)
frame.to_csv("responses.csv", index=False)
frame.to_csv("responses.tsv", index=False, sep="\t")
np.savetxt("responses.txt", responses, fmt="%.9g")
frame.to_parquet("responses.parquet")
frame.astype("f4").to_parquet("grouped.parquet", row_group_size=16, compression="zstd")
with_text = frame.copy()
with_text["sentence"], with_text["passage"] = texts, passages
with_text.loc[3, "v1"] = np.nan
with_text.index = pd.Index(texts, name=None)
with_text["v2"] = pd.array([None] + list(range(1, rows)), dtype="Int64")
with_text.to_parquet("mixed.parquet")

# MATLAB 5 and 7.3
cells = np.array(texts, dtype=object).reshape(-1, 1)
scipy.io.savemat("responses.mat", {"responses": responses, "sentences": cells, "cube": np.zeros((2, 3, 4))}, do_compression=True)
options = hdf5storage.Options(matlab_compatible=True)
for name, content in {
    "responses73.mat": {
        "responses": responses,
        "sentences": cells,
        "cube": np.arange(24.0).reshape(2, 3, 4),
        "data": {"betas": responses * 2, "label": "x"},
        "row": np.arange(4.0).reshape(1, 4),
        "flags": np.array([[True, False]]),
    },
    "one73.mat": {"responses": responses.astype("f8"), "about": "made by hdf5storage"},
}.items():
    if os.path.exists(name):
        os.remove(name)
    hdf5storage.write(content, path="/", filename=name, options=options)

# HDF5
with h5py.File("responses.h5", "w") as f:
    f["responses"] = responses
with h5py.File("many.h5", "w") as f:
    f.create_dataset("story/data", data=responses, chunks=(7, 5), compression="gzip", shuffle=True)
    f["big_endian"] = responses.astype(">f8")
    f["integers"] = np.arange(-6, 6, dtype="i2").reshape(3, 4)
    f["long"] = np.arange(6, dtype="i8").reshape(2, 3)
    f["bool"] = np.array([[True, False], [False, True]])
    f["half"] = responses.astype("f2")
    f["complex"] = responses.astype("c8")
    f["vector"] = np.arange(5.0)
    f["single_axes"] = responses.reshape(rows, 1, columns, 1)
    f["cube"] = np.zeros((2, 3, 4))
    f["texts"] = texts
    f["scalar"] = 3.0
    f["elsewhere"] = h5py.ExternalLink("responses.h5", "responses")
    layout = h5py.VirtualLayout(shape=(rows, columns), dtype="f4")
    layout[:] = h5py.VirtualSource("responses.h5", "responses", shape=(rows, columns))
    f.create_virtual_dataset("virtual", layout)
big = random.standard_normal((300, 700)).astype("f4")
with h5py.File("chunks.h5", "w") as f:
    f.create_dataset("x", data=big, chunks=(64, 96), compression="gzip")
np.save("chunks.npy", big)

# netCDF: an assembly as Brain-Score has it, with the coordinates of rows and columns
assembly = xr.DataArray(
    responses,
    dims=("presentation", "neuroid"),
    name="data",
    coords={
        "stimulus": ("presentation", texts),
        "passage": ("presentation", passages),
        "repetition": ("presentation", np.arange(rows)),
        "neuroid_id": ("neuroid", names),
        "roi": ("neuroid", rois),
        "subject": ("neuroid", subjects),
    },
)
assembly.to_netcdf("assembly.nc", engine="netcdf4")
assembly.T.to_netcdf("turned.nc", engine="netcdf4")
assembly.expand_dims("time_bin").transpose("neuroid", "presentation", "time_bin").to_netcdf("binned.nc", engine="netcdf4")
for version in ("NETCDF3_CLASSIC", "NETCDF3_64BIT"):
    assembly.to_netcdf(f"{version.lower()}.nc", engine="scipy", format=version)
assembly.to_netcdf("records.nc", engine="netcdf4", format="NETCDF3_CLASSIC", unlimited_dims=["presentation"])
packed = assembly.copy(data=np.where(np.arange(columns) == 3, np.nan, np.round(responses, 2)))
packed.to_netcdf("packed.nc", engine="netcdf4", encoding={"data": {"dtype": "i2", "scale_factor": 0.01, "_FillValue": -32768, "zlib": True}})
xr.Dataset({"a": assembly, "b": assembly * 2}).to_netcdf("two.nc", engine="netcdf4")

# NIfTI: the responses lie in 12 voxels of a mask, regions in an atlas
shape = (5, 4, 3)
affine = np.diag([3.0, 3.0, 4.0, 1.0])
affine[:3, 3] = [-10, -20, 5]
places = np.sort(random.choice(60, columns, replace=False))  # in the order of image[mask]
mask = np.zeros(60, "u1")
mask[places] = 1
mask = mask.reshape(shape)
atlas = np.zeros(60, "i2")
atlas[places] = [{"IFG": 1, "STG": 7, "AngG": 12}[roi] for roi in rois]
atlas = atlas.reshape(shape)
series = random.standard_normal((*shape, rows)).astype("f4")
series[mask > 0] = responses.T


def image(data, kind=nib.Nifti1Image, step=2.0, where=affine, endian="<"):
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(data.dtype.newbyteorder(endian))
    made = kind(data, where, header=header)
    made.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        made.header["pixdim"][4] = step
    return made


image(mask).to_filename("mask.nii.gz")
image(atlas).to_filename("atlas.nii.gz")
image(atlas.astype("f4") + 0.5).to_filename("probabilities.nii")
image(np.zeros(shape, "u1")).to_filename("nothing.nii")
image(np.zeros((5, 4, 4), "u1") + 1).to_filename("otherShape.nii")
shifted = affine.copy()
shifted[0, 3] += 1
image(mask, where=shifted).to_filename("shifted.nii")
for name, number in {"IFG": 1, "STG": 7, "AngG": 12}.items():
    image((atlas == number).astype("u1")).to_filename(f"mask-{name}.nii.gz")
image(series).to_filename("series.nii")
image(series).to_filename("series.nii.gz")
image(series, nib.Nifti2Image).to_filename("two.nii.gz")
image(series.astype(">f4"), endian=">").to_filename("big.nii.gz")
image(series.astype(">f4"), nib.Nifti2Image, endian=">").to_filename("big2.nii")
image(series.reshape(5, 4, 3, 1, rows)).to_filename("five.nii")
holes = series.copy()
holes[tuple(np.argwhere(mask)[1])] = np.nan
holes[tuple(np.argwhere(mask)[2])][5] = np.inf
image(holes).to_filename("holes.nii.gz")
image((random.integers(0, 2, (*shape, 4)) > 0).astype("c8")).to_filename("complex.nii")
region_means = np.stack([responses[:, np.array(rois) == roi].mean(1) for roi in ("IFG", "STG", "AngG")], 1)
np.save("means.npy", region_means)
for code in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"):
    for endian in "<>":
        values = random.integers(0 if code[0] == "u" else -100, 100, (*shape, 3)).astype(code)
        kind = nib.Nifti1Image
        made = image(values.astype(endian + code), kind, endian=endian)
        made.header.set_slope_inter(0.5, -3)  # nibabel writes the stored integers as they are and these beside them
        name = f"type-{endian == '<' and 'little' or 'big'}-{code}.nii"
        with open(name, "wb") as file:
            header = made.header.copy()
            header["scl_slope"], header["scl_inter"], header["vox_offset"] = 0.5, -3, 352
            file.write(header.binaryblock + b"\0" * 4 + values.astype(endian + code).tobytes(order="F"))
        read = nib.load(name).get_fdata(dtype="f4")
        np.save(f"{name}.npy", read[mask > 0].T.astype("f4"))
pd.DataFrame({"index": [0, 1, 7, 12], "name": ["none", "IFG", "STG", "AngG"]}).to_csv("atlas.tsv", sep="\t", index=False)
with open("atlas.txt", "w") as file:
    file.write("# No. Label R G B\n0 Unknown 0 0 0\n1 IFG 1 2 3 0\n7 STG 4 5 6 0\n12 AngG 7 8 9 0\n99 Nowhere 0 0 0 0\n")
for subject in ("01", "02"):
    for run in (1, 2):
        part = series[..., (run - 1) * 20 : run * 20] * (1 if subject == "01" else 0.5)
        os.makedirs(f"bids/sub-{subject}/func", exist_ok=True)
        image(part).to_filename(f"bids/sub-{subject}/func/sub-{subject}_task-read_run-{run}_bold.nii.gz")

# CIFTI-2
brain = nib.cifti2.BrainModelAxis.from_mask(np.array([1, 1, 0, 1, 1, 1], bool), "CIFTI_STRUCTURE_CORTEX_LEFT")
brain += nib.cifti2.BrainModelAxis.from_mask(np.array([0, 1, 1, 1, 1], bool), "CIFTI_STRUCTURE_CORTEX_RIGHT")
brain += nib.cifti2.BrainModelAxis.from_mask(np.ones((3, 1, 1), bool), "CIFTI_STRUCTURE_THALAMUS_LEFT", affine=affine)
assert len(brain) == columns
nib.Cifti2Image(responses, (nib.cifti2.SeriesAxis(0, 2, rows), brain)).to_filename("responses.dtseries.nii")
nib.Cifti2Image(responses, (nib.cifti2.ScalarAxis([f"beta {i}" for i in range(rows)]), brain)).to_filename("responses.dscalar.nii")
keys = {0: ("???", (0, 0, 0, 0)), 1: ("IFG", (1, 0, 0, 1)), 7: ("STG", (0, 1, 0, 1)), 12: ("AngG", (0, 0, 1, 1))}
labels = np.array([[{"IFG": 1, "STG": 7, "AngG": 12}[roi] for roi in rois]], "f4")
nib.Cifti2Image(labels, (nib.cifti2.LabelAxis(["parcels"], [keys]), brain)).to_filename("parcels.dlabel.nii")
expected["structures"] = [str(name).replace("CIFTI_STRUCTURE_", "") for name in brain.name]

# Words and their times
words = [f"w{i}" for i in range(30)]
events = pd.DataFrame({"onset": np.arange(30) * 0.5, "duration": 0.4, "trial_type": ["word", "fixation"] * 15, "word": words})
events.loc[4, "duration"] = np.nan
events.to_csv("task_events.tsv", sep="\t", index=False, na_rep="n/a")
with open("task_bold.json", "w") as file:
    json.dump({"RepetitionTime": 1.5, "TaskName": "read"}, file)

cues = [(0.25, 0.5, "Alice"), (0.5, 0.75, "was"), (62.0, 63.5, "<i>tired</i> &\nbored")]
subtitles = pysubs2.SSAFile()
for a, b, text in cues:
    event = pysubs2.SSAEvent(start=int(a * 1000), end=int(b * 1000))
    event.plaintext = text.replace("<i>", "").replace("</i>", "")
    subtitles.append(event)
subtitles.save("words.srt")
captions = webvtt.WebVTT()
stamp = lambda seconds: f"00:{int(seconds) // 60:02}:{seconds % 60:06.3f}"
for a, b, text in cues:
    captions.captions.append(webvtt.Caption(stamp(a), stamp(b), text))
captions.save("words.vtt")

# Copies of public data sets, in their layout and small, with numbers drawn at random
os.makedirs("recipes/pereira2018")
measured = random.standard_normal((10, 6)).astype("f4")
measured[:6, 4:] = np.nan  # the third person was in the second experiment only
xr.DataArray(
    measured,
    dims=("presentation", "neuroid"),
    name="data",
    coords={
        "stimulus": ("presentation", [f"S{i}." for i in range(10)]),
        "experiment": ("presentation", ["384sentences"] * 6 + ["243sentences"] * 4),
        "passage_label": ("presentation", [f"P{i // 2}" for i in range(10)]),
        "neuroid_id": ("neuroid", [f"{s}.{v}" for s in ("A", "B", "C") for v in (0, 1)]),
        "subject": ("neuroid", [s for s in ("A", "B", "C") for _ in (0, 1)]),
    },
).to_netcdf("recipes/pereira2018/assy_Pereira2018_language.nc", engine="netcdf4")
stories = """alternateithicatom souls avatar legacy odetostepfather undertheinfluence howtodraw myfirstdaywiththeyankees naked life stagefright tildeath
fromboyhoodtofatherhood sloth exorcism haveyoumethimyet adollshouse inamoment theclosetthatateeverything adventuresinsayingyes buck
swimmingwithastronauts thatthingonmyarm eyespy itsabox hangtime""".split()
for folder in ("TextGrids", "preprocessed_data/UTS03"):
    os.makedirs(f"recipes/lebel2023/derivative/{folder}")
for story in stories:
    with h5py.File(f"recipes/lebel2023/derivative/preprocessed_data/UTS03/{story}.hf5", "w") as f:
        f["data"] = random.standard_normal((9, 4))
    intervals = "".join(f'{at} {at + 1} "{word}"\n' for at, word in enumerate(["sp"] * 11 + ["once", "upon", "{BR}", "a"] + ["time"] * 5))
    with open(f"recipes/lebel2023/derivative/TextGrids/{story}.TextGrid", "w") as f:
        f.write('File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n20\n<exists>\n2\n')
        f.write('"IntervalTier"\n"phone"\n0\n20\n1\n0 20 ""\n"IntervalTier"\n"word"\n0\n20\n20\n' + intervals)
where = "recipes/narratives/derivatives/afni-nosmooth"
os.makedirs(f"{where}/tpl-MNI152NLin2009cAsym")
os.makedirs("recipes/narratives/stimuli/gentle/black")
image(mask).to_filename(f"{where}/tpl-MNI152NLin2009cAsym/tpl-MNI152NLin2009cAsym_res-black_desc-brain_mask.nii.gz")
for subject in ("001", "002"):
    os.makedirs(f"{where}/sub-{subject}/func")
    name = f"sub-{subject}_task-black_space-MNI152NLin2009cAsym_res-native_desc-clean_bold.nii.gz"
    image(random.standard_normal((*shape, 20)).astype("f4") + series[..., :20], step=1.5).to_filename(f"{where}/sub-{subject}/func/{name}")
with open("recipes/narratives/stimuli/gentle/black/align.csv", "w") as file:
    file.write("So,so,0.3,0.5\nI,i,0.5,0.7\nuh,,,\nwent,went,1.2,1.5\n")
os.makedirs("recipes/things-fmri/betas_csv")
for subject in ("01", "02", "03"):
    with h5py.File(f"recipes/things-fmri/betas_csv/sub-{subject}_ResponseData.h5", "w") as f:
        f["ResponseData/block0_values"] = responses.T.astype("f8")
    pd.DataFrame({"stimulus": texts}).to_csv(f"recipes/things-fmri/betas_csv/sub-{subject}_StimulusMetadata.csv")
    pd.DataFrame({"V1": [1] * columns}).to_csv(f"recipes/things-fmri/betas_csv/sub-{subject}_VoxelMetadata.csv")

# What Brain-Score packages, with the coordinates that its packaging code writes and its tests name
packaged = np.random.default_rng(7)


def assembly(name, values, rows, columns):
    os.makedirs(f"recipes/{name[0]}")
    coords = {key: ("presentation", value) for key, value in rows.items()} | {key: ("neuroid", value) for key, value in columns.items()}
    made = xr.DataArray(values.astype("f4"), dims=("presentation", "neuroid"), name="data", coords=coords)
    made.to_netcdf(f"recipes/{name[0]}/{name[1]}", engine="netcdf4")


assembly(
    ("tuckute2024", "assy_Tuckute2024_language.nc"),
    packaged.standard_normal((12, 1)),
    {"stimulus_id": [f"beta-control-neural-T.{i}" for i in range(12)], "stimulus": [f"S{i}." for i in range(12)], "cond": ["T"] * 12},
    {"neuroid_id": [1], "subject_UID": ["848-853-865-875-876"], "roi": ["lang_LH_netw"]},
)
assembly(
    ("blank2014", "assy_Blank2014_fROI.nc"),
    packaged.standard_normal((12, 4)),
    {"stimulus": [f"part {i} " for i in range(12)], "story": ["Boar"] * 6 + ["Aqua"] * 6},
    {"subject_id": ["088", "088", "085", "085"], "fROI_area": ["01_LH_PostTemp", "02_LH_AntTemp"] * 2},
)
assembly(
    ("fedorenko2016", "assy_Fedorenko2016_language.nc"),
    packaged.standard_normal((16, 3)),
    {"stimulus": [f"W{i}" for i in range(16)], "sentence_id": [i // 8 for i in range(16)], "word_num": [i % 8 for i in range(16)]},
    {"neuroid_id": [0, 1, 2], "subject_UID": ["S1", "S1", "S2"]},
)

# Files that lie
header = image(series).header.copy()
header["dim"][1:5] = [30000, 30000, 30000, 3]
header["vox_offset"] = 352
with open("lying.nii", "wb") as file:
    file.write(header.binaryblock + b"\0" * 1000)
pack = zlib.compressobj(9, zlib.DEFLATED, 31)
small = image(mask).header.copy()
small["dim"][:5] = [4, 512, 512, 512, 40]
small["vox_offset"] = 352
with open("bomb.nii.gz", "wb") as file:  # zeros packed 1000 to 1, and a header that asks for 5 GiB of them
    file.write(pack.compress(small.binaryblock + b"\0" * 4))
    block = b"\0" * (1 << 20)
    for _ in range(300):
        file.write(pack.compress(block))
    file.write(pack.flush())
with h5py.File("lying.h5", "w") as f:
    f.create_dataset("x", shape=(10**6, 10**6), dtype="f8", chunks=(1000, 1000), compression="gzip")
with h5py.File("lying73.mat", "w", userblock_size=512) as f:
    f.create_dataset("x", shape=(10**6, 10**6), dtype="f8", chunks=(1000, 1000), compression="gzip")
    f["x"].attrs["MATLAB_class"] = np.bytes_("double")
with open("lying73.mat", "r+b") as file:
    file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + struct.pack("<H", 0x0200) + b"IM")
with open("lying.nc", "wb") as file:  # a dimension of 4,000,000,000 and a variable of it
    name = lambda text: struct.pack(">I", len(text)) + text.encode().ljust(-(-len(text) // 4) * 4, b"\0")
    file.write(b"CDF\x01" + struct.pack(">I", 0))
    file.write(struct.pack(">II", 10, 1) + name("x") + struct.pack(">I", 4_000_000_000))
    file.write(struct.pack(">II", 0, 0))
    file.write(struct.pack(">II", 11, 1) + name("data") + struct.pack(">II", 1, 0) + struct.pack(">II", 0, 0) + struct.pack(">III", 5, 4_000_000_000, 200))

with open("expected.json", "w") as file:
    json.dump(expected, file)
