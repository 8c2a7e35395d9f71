/** Finding a data set's description, its folder, and the files its paths stand for. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { CortuneError } from '../errors.js';
import { kPackageDir } from '../native/load.js';
import type { DatasetDescription } from './schema.js';

const kDatasetsDir = join(kPackageDir, 'datasets');

/** Names of the data sets described in the project. */
export function knownDatasets(): string[] {
  if (!existsSync(kDatasetsDir)) return [];
  return readdirSync(kDatasetsDir)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/** The description file of a name (`alice`), of a folder that holds a dataset.yaml, or of a path. @throws ERR_NOT_FOUND. */
export function descriptionPath(nameOrPath: string): string {
  const path = resolve(nameOrPath);
  if (['.yaml', '.yml', '.json'].includes(extname(nameOrPath))) return path;
  if (/^[\w-]+$/.test(nameOrPath) && knownDatasets().includes(nameOrPath))
    return join(kDatasetsDir, `${nameOrPath}.yaml`);
  const inside = join(path, 'dataset.yaml');
  if (existsSync(inside)) return inside;
  const known = knownDatasets();
  const list = known.map((name) => `\`${name}\``).join(', ');
  const hint = known.length > 0 ? ` (nearest known: \`${closest(nameOrPath, known)}\`)` : '';
  throw new CortuneError(
    'ERR_NOT_FOUND',
    `Expected a data set: one of ${list || 'no known names'}, a .yaml file, or a folder with a dataset.yaml; got \`${nameOrPath}\`${hint}.`,
  );
}

/** The first of the description's data folders that exists; `given` alone when it is given. @throws ERR_NOT_FOUND. */
export function dataFolder(description: DatasetDescription, file: string, given?: string): string {
  const places = given !== undefined ? [resolve(given)] : candidates(description.root, dirname(file));
  const found = places.find((place) => existsSync(place) && statSync(place).isDirectory());
  if (found !== undefined) return found;
  const source = description.source ? ` Get it from: ${description.source}` : '';
  throw new CortuneError(
    'ERR_NOT_FOUND',
    `Expected the data of \`${description.name}\` in ${places.join(' or ') || 'the folder that `root` names'}, and there is no such folder. Give its folder as \`root\`.${source}`,
  );
}

/** Folders with their environment variables filled in; one whose variable is unset is no candidate. */
function candidates(roots: readonly string[] | undefined, base: string): string[] {
  if (!roots) return [base];
  return roots.flatMap((root) => {
    let unset = false;
    const filled = root.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const value = process.env[name];
      unset ||= !value;
      return value ?? '';
    });
    return unset ? [] : [isAbsolute(filled) ? filled : resolve(base, filled)];
  });
}

/** A file to read: where it is, and how messages and hashes call it. */
export interface DataFile {
  path: string;
  name: string;
}

function fill(template: string, values: Record<string, string>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** The first of the templates that is a file. @throws ERR_NOT_FOUND. */
export function dataFile(root: string, templates: readonly string[], values: Record<string, string>): DataFile {
  const names = templates.map((template) => fill(template, values));
  const name = names.find((one) => existsSync(join(root, one)));
  if (name !== undefined) return { path: join(root, name), name };
  throw new CortuneError(
    'ERR_NOT_FOUND',
    `Expected ${names.join(' or ')} in ${root}, and there is no such file. Check the folder (\`root\`) and the path.`,
  );
}

/** Files of one template that are looked at. */
const kMaxFiles = 100_000;

/** A file that fits a template, and the values of the template's variables in its path. */
export interface FoundFile extends DataFile {
  values: Record<string, string>;
}

/**
 * The files that fit a template, in natural order. A variable stands for letters, digits, `_` and `-` of one part of the path, and for the same
 * ones wherever it stands again (`sub-{subject}/sub-{subject}_bold.nii.gz`); `*` for anything within a part.
 */
export function findFiles(root: string, template: string, values: Record<string, string> = {}): FoundFile[] {
  let found: { folder: string; values: Record<string, string> }[] = [{ folder: '', values: { ...values } }];
  const parts = template.split(/[\\/]/);
  for (const [i, part] of parts.entries()) {
    found = found.flatMap(({ folder, values: known }) => fitting(root, folder, part, known, i < parts.length - 1));
    if (found.length > kMaxFiles)
      throw new CortuneError('ERR_DATA', `Expected at most ${kMaxFiles} files like ${template} in ${root}, got more.`);
  }
  return found.map(({ folder: name, values: at }) => ({ path: join(root, name), name, values: at }));
}

function fitting(root: string, folder: string, part: string, known: Record<string, string>, isFolder: boolean) {
  const filled = fill(part, known);
  const at = (name: string) => (folder === '' ? name : `${folder}/${name}`);
  if (!/[{*]/.test(filled)) return existsSync(join(root, at(filled))) ? [{ folder: at(filled), values: known }] : [];
  const seen = new Set<string>();
  const pattern = filled
    .split(/(\{\w+\}|\*)/)
    .map((piece) => {
      const name = /^\{(\w+)\}$/.exec(piece)?.[1];
      if (piece === '*') return '[^/]*';
      if (name === undefined) return piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      if (seen.has(name)) return `\\k<${name}>`;
      seen.add(name);
      return `(?<${name}>[\\w-]+)`;
    })
    .join('');
  const expression = new RegExp(`^${pattern}$`);
  return readFolder(join(root, folder), isFolder).flatMap((name) => {
    const match = expression.exec(name);
    return match ? [{ folder: at(name), values: { ...known, ...match.groups } }] : [];
  });
}

function readFolder(path: string, folders: boolean): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => !folders || entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  } catch {
    return []; // there is no such folder
  }
}

/** Values of a variable (`subject`, `run`) for which there are files, by the first template that any file fits, in natural order. */
export function findValues(
  root: string,
  templates: readonly string[],
  variable: string,
  values: Record<string, string>,
  key = 'responses.file',
): string[] {
  for (const template of templates) {
    const found = new Set(findFiles(root, template, values).map((file) => file.values[variable]!));
    if (found.size > 0) return [...found].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }
  throw new CortuneError(
    'ERR_NOT_FOUND',
    `Expected files like ${templates.map((template) => fill(template, values)).join(' or ')} in ${root}, found none.${nearbyFiles(root, templates[0]!, values)} Check the folder (\`root\`) and the path in \`${key}\`.`,
  );
}

/** ` There is: a, b.` of the deepest folder of a template that is there. */
function nearbyFiles(root: string, template: string, values: Record<string, string>): string {
  const parts = fill(template, values).split(/[\\/]/);
  let folder = '';
  for (const part of parts.slice(0, -1)) {
    if (/[{*]/.test(part) || !existsSync(join(root, folder, part))) break;
    folder = folder === '' ? part : `${folder}/${part}`;
  }
  const there = readFolder(join(root, folder), false);
  if (there.length === 0) return '';
  return ` In ${folder || 'it'} there is: ${there.slice(0, 6).join(', ')}${there.length > 6 ? ', ...' : ''}.`;
}
