// Bundles the report's page (lib/report/page, with the plotting library) into dist/report/page: its script, the viewer of brains as a script of its
// own, which only reports with images carry, and the style sheet.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'lib', 'report', 'page');
const out = join(root, 'dist', 'report', 'page');
const niivue = join(root, 'node_modules', '@niivue', 'niivue', 'src');

/** Licences of every package whose code is in the bundle: their terms ask that the notices stay with it. */
function notices(inputs) {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
  );
  const texts = [...packages].sort().map((name) => `${name}\n\n${licence(name)}`);
  return `/*!\n${texts.join('\n\n----\n\n').replaceAll('*/', '* /')}\n*/\n`;
}

/** NiiVue's package has its licence by name only; the text is kept here. */
function licence(name) {
  const folder = join(root, 'node_modules', name);
  const file = readdirSync(folder).find((each) => /^licen[cs]e(\.|$)/i.test(each));
  if (file) return readFileSync(join(folder, file), 'utf8').trim();
  if (name === '@niivue/niivue') return readFileSync(join(page, 'niivue.licence.txt'), 'utf8').trim();
  throw new Error(`Expected a licence in ${folder}, which the report's page must carry, and there is none.`);
}

/**
 * NiiVue from its sources, without Zarr: that is an image format of servers, and its codecs, in WebAssembly, are more than half of the package.
 * `@/` is how NiiVue's sources call their own folder.
 */
const withoutZarr = {
  name: 'niivue-without-zarr',
  setup(bundle) {
    bundle.onResolve({ filter: /^@niivue\/niivue$/ }, () => ({ path: join(niivue, 'niivue', 'index.ts') }));
    bundle.onResolve({ filter: /^@\// }, ({ path, kind }) =>
      bundle.resolve(`./${path.slice(2)}`, { resolveDir: niivue, kind }),
    );
    bundle.onResolve({ filter: /^zarrita$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    bundle.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
  },
};

const common = {
  bundle: true,
  minify: true,
  outdir: out,
  logLevel: 'warning',
  write: false,
  metafile: true,
  charset: 'utf8',
  format: 'esm',
  target: 'es2022',
  loader: { '.png': 'dataurl', '.jpg': 'dataurl' },
  plugins: [withoutZarr],
};
mkdirSync(out, { recursive: true });
for (const name of ['main', 'niivue']) {
  const script = await build({ ...common, entryPoints: [join(page, `${name}.ts`)] });
  writeFileSync(join(out, `${name}.bundle.js`), notices(script.metafile.inputs) + script.outputFiles[0].text);
}
const style = await build({ ...common, entryPoints: [join(page, 'style.css')] });
writeFileSync(join(out, 'style.bundle.css'), style.outputFiles[0].text);
