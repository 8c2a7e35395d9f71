// Bundles the report's page (lib/report/page, with the plotting library) into dist/report/page, as one script and one style sheet.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'lib', 'report', 'page');
const out = join(root, 'dist', 'report', 'page');

/** Licences of every package whose code is in the bundle: their terms ask that the notices stay with it. */
function notices(inputs) {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
  );
  const texts = [...packages].sort().map((name) => {
    const folder = join(root, 'node_modules', name);
    return `${name}\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').trim()}`;
  });
  return `/*!\n${texts.join('\n\n----\n\n').replaceAll('*/', '* /')}\n*/\n`;
}

const common = {
  bundle: true,
  minify: true,
  outdir: out,
  logLevel: 'warning',
  write: false,
  metafile: true,
  charset: 'utf8',
};
const script = await build({ ...common, entryPoints: [join(page, 'main.ts')], format: 'esm', target: 'es2022' });
const style = await build({ ...common, entryPoints: [join(page, 'style.css')] });
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'main.bundle.js'), notices(script.metafile.inputs) + script.outputFiles[0].text);
writeFileSync(join(out, 'style.bundle.css'), style.outputFiles[0].text);
