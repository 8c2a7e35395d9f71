#!/usr/bin/env node
// Writes what is made of the schema of studies and the table of methods: schema/study.schema.json, the tables of keys in docs/study.md, and the
// blocks of docs/methods.md. `--check` only compares.
import { readFileSync, writeFileSync } from 'node:fs';

const { studyJsonSchema } = await import('../dist/study/json-schema.js');
const { studyKeyTables } = await import('../dist/study/docs.js');
const { methodPage } = await import('../dist/tune/docs.js');
const place = (path) => new URL(`../${path}`, import.meta.url);
const kBetween = /(<!-- keys -->\n)[\s\S]*(\n<!-- \/keys -->)/;

const docs = readFileSync(place('docs/study.md'), 'utf8');
const made = {
  'schema/study.schema.json': `${JSON.stringify(studyJsonSchema(), null, 1)}\n`,
  'docs/study.md': docs.replace(kBetween, (_, before, after) => `${before}\n${studyKeyTables()}${after}`),
  'docs/methods.md': methodPage(readFileSync(place('docs/methods.md'), 'utf8')),
};
let stale = false;
for (const [path, text] of Object.entries(made)) {
  if (process.argv.includes('--check')) {
    if (readFileSync(place(path), 'utf8') === text) continue;
    stale = true;
    process.stderr.write(`${path} is not what the code says. Run: node bin/study-docs.mjs\n`);
  } else writeFileSync(place(path), text);
}
process.exitCode = stale ? 1 : 0;
