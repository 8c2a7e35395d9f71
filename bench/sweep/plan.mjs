/** What the rival of the sweep suite is given: the very token batches, sequences, volumes, folds and alphas that `cortune run` uses. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wordsToVolumes } from '../../dist/data/align.js';
import { planCumulative } from '../../dist/embed/plan.js';
import { parseAlphas } from '../../dist/encode/alphas.js';
import { foldRows } from '../../dist/encode/options.js';
import { saveAdapter, tune } from '../../dist/index.js';
import { encodeOptions } from '../../dist/study/scoring.js';
import { scheduleFactors } from '../../dist/tune/schedule.js';
import { trainingData } from '../../dist/tune/training-data.js';

/** So small that no weight changes in float32. */
const kNoRate = 1e-30;

/** The sequences of packed tokens. [B][T] */
function sequencesOf({ ids, lengths }) {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return [...ids.subarray(at - length, at)];
  });
}

/** Token ids of the sequences of each step, in the order that `seed` draws. [steps][batch][T] */
function batchesOf(model, { study, training }, seed) {
  const { steps, batch, packing, block } = study.tune;
  const { train, order } = trainingData(
    model,
    training.tasks[0].examples,
    { packing, block, dataSeed: seed },
    steps,
    batch,
  );
  const sequences = sequencesOf(train);
  return Array.from({ length: steps }, (_, step) =>
    [...order.subarray(step * batch, (step + 1) * batch)].filter((n) => n >= 0).map((n) => sequences[n]),
  );
}

/**
 * Sequences of the stimuli, and of each the sparse matrix [volumes, T] that takes its tokens' states to the volumes: the mean of a word's tokens, then
 * the mean of a volume's words.
 */
export function pooledSequences(words, reach, volumes) {
  const plan = planCumulative(
    words.map(({ text }) => text),
    reach,
  );
  const { rowStarts, columns, weights } = wordsToVolumes(words, volumes);
  let start = 0;
  return sequencesOf(plan).map((ids) => {
    const [first, end] = [start, start + ids.length];
    start = end;
    const csr = { rowStarts: [0], columns: [], weights: [] };
    for (let row = 0; row < volumes.rows; row++) {
      for (let at = rowStarts[row]; at < rowStarts[row + 1]; at++) {
        const [from, to] = [plan.spans[2 * columns[at]], plan.spans[2 * columns[at] + 1]];
        if (from < first || from >= end) continue;
        for (let token = from; token < to; token++) {
          csr.columns.push(token - first);
          csr.weights.push(weights[at] / (to - from));
        }
      }
      csr.rowStarts.push(csr.columns.length);
    }
    return { ids, ...csr };
  });
}

/** Writes a plan and the responses of a study as `prepareStudy` gives it; resolves to the plan's path. */
export async function writePlan(folder, model, prepared) {
  const { study, data } = prepared;
  const { stimuli, rows, measured } = data[0];
  const { words, tr, start } = stimuli;
  const { delays, method } = study.align;
  const reach = { tokenizer: model.tokenizer, window: study.embed.window ?? model.config.maxPositions };
  const responses = join(folder, `${study.name}-responses.bin`);
  await writeFile(responses, measured.responses.data);
  const options = encodeOptions(study);
  const folds = foldRows(rows, true, options).map(({ train, test, inner }) => ({
    train: [...train],
    test: [...test],
    // himalaya takes places among the training rows.
    inner: inner.map((each) => ({ train: placesIn(train, each.train), test: placesIn(train, each.test) })),
  }));
  const plan = {
    folder: study.models[0],
    rows,
    responses,
    batches: study.seeds.map((seed) => batchesOf(model, prepared, seed)),
    schedule: [...scheduleFactors(study.tune.schedule, study.tune.steps, study.tune.warmup)],
    sequences: pooledSequences(words, reach, { method, tr, start, rows }),
    delays,
    folds,
    alphas: [...parseAlphas(options.alphas)],
  };
  const path = join(folder, `${study.name}-plan.json`);
  await writeFile(path, JSON.stringify(plan));
  return path;
}

function placesIn(train, rows) {
  const places = new Map(Array.from(train, (row, at) => [row, at]));
  return Array.from(rows, (row) => places.get(row));
}

/** Writes the adapter that a run of the study begins with, as PEFT reads it. */
export async function writeAdapter(folder, model, { tuning }) {
  const { lanes } = await tune(model, ['one step'], { runs: [{ ...tuning, lr: kNoRate, warmup: 0 }], steps: 1 });
  await saveAdapter(model, lanes, 0, folder);
  lanes.dispose();
}
