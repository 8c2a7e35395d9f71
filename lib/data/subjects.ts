/** Reading the responses of one subject: one file, or a file a run; some columns, voxels of a mask, regions of an atlas. */
import { CortuneError } from '../errors.js';
import type { SubjectResponses } from './courses.js';
import { checkMatrixSize, readBytes } from './formats/bytes.js';
import { takeColumns } from './formats/columns.js';
import {
  choosesColumns,
  isTable,
  type MatrixOptions,
  type NamedMatrix,
  parseTable,
  pickColumns,
  readMatrix,
} from './formats/index.js';
import { hasHeader, toMatrix } from './formats/table.js';
import { type DataFile, dataFile, findValues } from './paths.js';
import type { DatasetDescription } from './schema.js';

type Described = DatasetDescription['responses'];
type Values = Record<string, string> & { subject: string };

export interface ReadSubject {
  /** Several where one file holds several. */
  subjects: SubjectResponses[];
  files: DataFile[];
  /** Rows of each run; of the one file where there are no runs. */
  runRows: number[];
}

/** Runs in order where paths hold {run}, else undefined. @throws ERR_NOT_FOUND when no file fits. */
export function chooseRuns(
  root: string,
  { stimuli, responses }: DatasetDescription,
  values: Record<string, string>,
): string[] | undefined {
  const has = (files: readonly string[] | undefined) => files?.[0]?.includes('{run}') ?? false;
  if (!has(responses.file) && !has(stimuli?.file)) return undefined;
  if (responses.runs) return responses.runs;
  if (has(responses.file)) return findValues(root, responses.file, 'run', values);
  return findValues(root, stimuli!.file, 'run', values, 'stimuli.file');
}

/** @throws what readMatrix throws; ERR_NOT_FOUND; ERR_DATA when runs differ in columns or names do not fit. */
export async function readSubject(
  root: string,
  responses: Described,
  values: Values,
  runs: readonly string[] | undefined,
  rois: readonly string[] | undefined,
): Promise<ReadSubject> {
  const options = matrixOptions(root, responses, values);
  const perRun = responses.file[0]!.includes('{run}') && runs !== undefined;
  const files = perRun
    ? runs.map((run) => dataFile(root, responses.file, { ...values, run }))
    : [dataFile(root, responses.file, values)];
  const parts: NamedMatrix[] = [];
  for (const file of files) parts.push(await readPart(file, options, responses.columns));
  const all = pickColumns(joined(parts, files), rois, files[0]!.name);
  const name = files[0]!.name;
  return {
    subjects: all.subjects ? split(all, all.subjects, name) : [{ ...all, subject: values.subject, name }],
    files: [...files, ...masksOf(root, responses, values)],
    runRows: parts.map(({ matrix }) => matrix.rows),
  };
}

/** Images and tables that decide which columns are read. */
function masksOf(root: string, { mask, masks, atlas, labels }: Described, values: Values): DataFile[] {
  return [mask, ...Object.values(masks ?? {}), atlas, labels]
    .filter((path) => path !== undefined)
    .map((path) => dataFile(root, [path], values));
}

function matrixOptions(root: string, responses: Described, values: Values): MatrixOptions {
  const { key, mask, masks, atlas, labels, coords, reduce, transpose } = responses;
  const at = (path: string | undefined) => (path === undefined ? undefined : dataFile(root, [path], values).path);
  return {
    key,
    mask: at(mask),
    masks: masks && Object.fromEntries(Object.entries(masks).map(([region, path]) => [region, at(path)!])),
    atlas: at(atlas),
    labels: at(labels),
    coords,
    reduce,
    transpose,
  };
}

/** Columns under the description's names: by position for a file without header, by header or region otherwise. */
async function readPart(
  { path, name }: DataFile,
  options: MatrixOptions,
  columns: readonly string[] | undefined,
): Promise<NamedMatrix> {
  if (columns === undefined || choosesColumns(path, options)) return await readMatrix(path, { ...options, columns });
  // Of a table with a header only the columns wanted need to hold numbers.
  if (isTable(path)) {
    const table = parseTable(await readBytes(path), name);
    return hasHeader(table) ? toMatrix(table, columns) : named(toMatrix(table), columns, name);
  }
  return named(await readMatrix(path, options), columns, name);
}

function named(all: NamedMatrix, columns: readonly string[], name: string): NamedMatrix {
  const headless = all.columns.every((column, i) => column === String(i));
  if (!headless) return pickColumns(all, columns, name);
  if (columns.length === all.columns.length) return { ...all, columns: [...columns] };
  throw new CortuneError(
    'ERR_DATA',
    `${name}: Expected ${columns.length} columns, as many as \`responses.columns\` names, got ${all.columns.length}.`,
  );
}

/** Runs below one another. */
function joined(parts: readonly NamedMatrix[], files: readonly DataFile[]): NamedMatrix {
  const first = parts[0]!;
  if (parts.length === 1) return first;
  for (const [i, { columns }] of parts.entries())
    if (columns.length !== first.columns.length || columns.some((column, c) => column !== first.columns[c]))
      throw new CortuneError(
        'ERR_DATA',
        `${files[i]!.name}: Expected the ${first.columns.length} columns of ${files[0]!.name}, got ${columns.length} that differ.`,
      );
  const rows = parts.reduce((sum, { matrix }) => sum + matrix.rows, 0);
  checkMatrixSize(files[0]!.name, rows, first.matrix.columns);
  const data = new Float32Array(rows * first.matrix.columns);
  let at = 0;
  for (const { matrix } of parts) {
    data.set(matrix.data, at);
    at += matrix.data.length;
  }
  const notes = parts.flatMap((part) => part.notes ?? []);
  return { ...first, matrix: { data, rows, columns: first.matrix.columns }, ...(notes.length > 0 && { notes }) };
}

/** One file's columns by the subject each belongs to. */
function split(all: NamedMatrix, owners: readonly string[], name: string): SubjectResponses[] {
  const members = new Map<string, number[]>();
  for (const [i, owner] of owners.entries()) {
    const list = members.get(owner);
    if (list) list.push(i);
    else members.set(owner, [i]);
  }
  return [...members].map(([subject, places]) => ({ ...takeColumns(all, places), subject, name }));
}
