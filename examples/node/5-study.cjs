// A whole study from CommonJS: run (or go on), ask the store in SQL, check every file, write the report.
//   node examples/node/5-study.cjs [FOLDER]
const { mkdtemp } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { openStore, report, runStudy } = require('cortune');

async function main() {
  const out = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'cortune-')));
  const stop = new AbortController(); // stop.abort() ends the study between two steps; running again goes on
  await runStudy(join(__dirname, '../quick.yaml'), { out, signal: stop.signal });

  const store = await openStore(out);
  const { rows } = await store.query(
    'select method, lr, layer, avg(r) as r from scores group by all order by r desc limit 3',
  );
  for (const row of rows) console.log(row);
  const { problems } = await store.verify();
  console.log(problems.length === 0 ? 'every file is as it was written' : problems);
  console.log(await report(out));
}

main();
