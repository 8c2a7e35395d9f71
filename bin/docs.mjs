// `npm run docs`: the reference of the Node API, from the comments of lib/, as Markdown in docs/reference. TypeDoc needs TypeScript's old
// compiler API, so it runs with a TypeScript of its own, outside this package's dependencies.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = ['typedoc@0.28.14', 'typedoc-plugin-markdown@4.9.0', 'typescript@5.9.3'];
const options = [
  ['--plugin', 'typedoc-plugin-markdown'],
  ['--entryPoints', 'lib/index.ts'],
  ['--out', 'docs/reference'],
  ['--tsconfig', 'tsconfig.json'],
  ['--readme', 'none'],
  ['--skipErrorChecking'], // `npm run typecheck` does that
  ['--disableSources'],
  ['--validation.notExported', 'false'],
  ['--treatWarningsAsErrors'],
];
const arguments_ = ['--yes', ...packages.flatMap((name) => ['-p', name]), 'typedoc', ...options.flat()];
const { status } = spawnSync('npx', arguments_, { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
