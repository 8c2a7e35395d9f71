// Tunes a model in a fresh process and prints the estimate made before and the peak of its memory: `node tune-peak.mjs MODEL JSON`, the JSON
// {texts, options, memory}. Bytes of the program before (Node, libtorch) count on both sides.
import { readFileSync } from 'node:fs';
import { loadModel } from '../../dist/model/load.js';
import { laneBytes, largestPass, measureLane } from '../../dist/tune/memory.js';
import { groupLanes } from '../../dist/tune/runs.js';
import { prepare, tune } from '../../dist/tune/tune.js';

const kib = (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);

const { texts, options } = JSON.parse(process.argv[3]);
const model = await loadModel(process.argv[2]);
const { data, lanes } = prepare(model, texts, options);
const what = {
  objective: data.objective,
  outputs: data.outputs,
  checkpointing: options.checkpointing ?? false,
  alone: !lanes[0].method.stackable,
};
const [method] = groupLanes([lanes[0]]); // they differ in their rates only
const footprint = await measureLane(model, method, what);
const used = process.memoryUsage.rss();
const pass = largestPass(data, options.batch);
const estimate =
  used + laneBytes(model, [{ footprint, lanes: lanes.length }], pass, { bestStates: options.patience !== undefined });
const { lanes: tuned } = await tune(model, texts, options);
console.log(JSON.stringify({ estimate, used, peak: kib('VmHWM') * 1024, lanes: tuned.count, pass }));
