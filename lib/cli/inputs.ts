/** Options that name features and responses, which several commands share, and how those files are read. */
import { existsSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { readBytes } from '../data/formats/bytes.js';
import {
  isTable,
  kMatrixExtensions,
  type MatrixOptions,
  type NamedMatrix,
  parseTable,
  readMatrix,
  readTensor,
  readTexts,
} from '../data/formats/index.js';
import { checkField, readRecords } from '../data/formats/records.js';
import { columnIndices } from '../data/formats/table.js';
import { expected } from '../errors.js';
import { runJob } from '../native/jobs.js';
import { native } from '../native/load.js';
import { Tensor } from '../tensor.js';
import { parseLayers } from './layers.js';
import type { CommandContext } from './output.js';

const kMatrixFiles = kMatrixExtensions.join(', ');

export interface FeatureOptions {
  features: string;
  tensor?: string | undefined;
}

export const kFeatureOptions = {
  features: {
    type: 'string',
    demandOption: true,
    describe:
      'Tensor [layers, n, columns] or [n, columns]: .safetensors (as `cortune embed` writes), or a matrix in any file that responses may lie in',
  },
  tensor: { type: 'string', describe: 'Tensor or array to take when the features file holds several' },
} as const;

/** Which part of a file is read. */
export interface PartOptions {
  columns?: string | undefined;
  key?: string | undefined;
  mask?: string | undefined;
  atlas?: string | undefined;
  atlasLabels?: string | undefined;
  regions?: string | undefined;
  reduce?: 'mean' | 'none' | undefined;
}

export const kPartOptions = {
  columns: { type: 'string', describe: 'Targets to take: a,b by header, region or number from 0; all by default' },
  key: { type: 'string', describe: 'Array, variable or tensor to take where the file holds several' },
  mask: { type: 'string', describe: 'NIfTI: an image; voxels where it is not 0 are read' },
  atlas: { type: 'string', describe: 'NIfTI, CIFTI: an image of whole numbers, one a region' },
  'atlas-labels': { type: 'string', describe: 'The table of its numbers and names: .tsv, .csv or .txt' },
  regions: { type: 'string', describe: 'netCDF: the coordinate that names the region of each column' },
  reduce: {
    choices: ['mean', 'none'],
    describe: 'One target a region, its mean (the default with an atlas), or one a voxel',
  },
} as const;

/** The options as readMatrix takes them. */
export function partOf({
  columns,
  key,
  mask,
  atlas,
  atlasLabels: labels,
  regions,
  reduce,
}: PartOptions): MatrixOptions {
  return {
    columns: columns?.split(',').map((name) => name.trim()),
    key,
    mask,
    atlas,
    labels,
    coords: regions === undefined ? undefined : { region: regions },
    reduce,
  };
}

export interface ResponseOptions extends PartOptions {
  responses: string;
  groups?: string | undefined;
}

export const kResponseOptions = {
  responses: {
    type: 'string',
    demandOption: true,
    describe: `Matrix [n, targets]: ${kMatrixFiles}; row i belongs to stimulus i`,
  },
  ...kPartOptions,
  groups: {
    type: 'string',
    describe: 'Run, story or passage of each row: a column of the responses file, or FILE:COLUMN of another',
  },
} as const;

/** The tensor, and the numbers of its layers when `cortune embed` kept only some. */
export async function readFeatures(
  { features: path, tensor: key }: FeatureOptions,
  ctx: CommandContext,
): Promise<{ tensor: Tensor; layers?: number[] }> {
  if (extname(path).toLowerCase() !== '.safetensors') {
    const { matrix } = await readMatrix(path, { key });
    return { tensor: Tensor.from(matrix.data, [1, matrix.rows, matrix.columns]) };
  }
  const { metadata } = await runJob(() => native().inspectFile({ path }), { signal: ctx.signal });
  const tensor = await readTensor(path, key, { signal: ctx.signal });
  const kept = typeof metadata.layers === 'string' ? parseLayers(metadata.layers) : 'all';
  return kept !== 'all' && kept.length === tensor.shape[0] ? { tensor, layers: kept } : { tensor };
}

/**
 * The responses and, with --groups, the label of each row. That column, and `aside`, are no targets unless --columns names them.
 * `note` is told what was left out.
 */
export async function readResponses(
  options: ResponseOptions,
  note: (line: string) => void,
  aside?: string | undefined,
): Promise<NamedMatrix & { groups?: string[] }> {
  const { responses: path } = options;
  const part = partOf(options);
  const elsewhere = otherFile(options.groups);
  const groups = elsewhere ? undefined : options.groups;
  const texts = [groups, aside].filter((name) => name !== undefined);
  const besides = texts.length === 0 ? {} : await readBeside(path, groups, texts);
  const all = await readMatrix(path, { ...part, columns: part.columns ?? besides.others });
  for (const line of all.notes ?? []) note(`Note: ${line}`);
  const labels = elsewhere ? await readTexts(elsewhere.path, { column: elsewhere.column }) : besides.labels;
  return { ...all, ...(labels && { groups: labels }) };
}

/** `runs.csv:run`: a column of another file; images and arrays have no column for it. */
function otherFile(groups: string | undefined): { path: string; column: string } | undefined {
  const [, path, column] = /^(.+):([^:]+)$/.exec(groups ?? '') ?? [];
  return path !== undefined && existsSync(path) ? { path, column: column! } : undefined;
}

/** Labels of the rows from a column (of a .nc: a coordinate of its rows), and the columns that are none of `texts`. */
async function readBeside(
  path: string,
  groups: string | undefined,
  texts: string[],
): Promise<{ labels?: string[] | undefined; others?: string[] | undefined }> {
  if (['.parquet', '.nc'].includes(extname(path).toLowerCase())) {
    const records = await readRecords(path);
    for (const name of texts) checkField(records, name);
    return {
      labels: groups === undefined ? undefined : records.rows.map((row) => String(row[groups])),
      others: path.endsWith('.nc') ? undefined : records.fields.filter((field) => !texts.includes(field)),
    };
  }
  if (!isTable(path))
    throw expected(
      'groups',
      `FILE:COLUMN of a table, as ${basename(path)} has no columns of labels`,
      groups ?? texts[0],
    );
  const labels = groups === undefined ? undefined : await readTexts(path, { column: groups });
  const header = parseTable(await readBytes(path), path).rows[0]!;
  const places = columnIndices(basename(path), header, texts);
  return { labels, others: header.filter((_, i) => !places.includes(i)) };
}
