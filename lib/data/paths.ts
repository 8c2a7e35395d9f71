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

/** Subjects that have a file, by the first template that any file fits, in natural order. */
export function findSubjects(root: string, templates: readonly string[], values: Record<string, string>): string[] {
  for (const template of templates) {
    const parts = fill(template, values).split(/[\\/]/);
    const at = parts.findIndex((part) => part.includes('{subject}'));
    const folder = join(root, ...parts.slice(0, at));
    if (!existsSync(folder)) continue;
    const [first, ...rest] = parts[at]!.split('{subject}').map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    // A second {subject} in the same part must be the same subject.
    const pattern = new RegExp(`^${first}(?<subject>[\\w-]+)${rest.join('\\k<subject>')}$`);
    const found = readdirSync(folder)
      .flatMap((entry) => pattern.exec(entry)?.groups?.subject ?? [])
      .filter((subject) => existsSync(join(root, ...parts.map((part) => fill(part, { subject })))));
    if (found.length > 0) return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }
  throw new CortuneError(
    'ERR_NOT_FOUND',
    `Expected files like ${templates.map((template) => fill(template, values)).join(' or ')} in ${root}, found none. Check the folder (\`root\`) and the path in \`responses.file\`.`,
  );
}
