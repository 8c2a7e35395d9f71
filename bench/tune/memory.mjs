/** A process of its own that tunes and prints the most memory it held, in bytes: `node memory.mjs JSON` of {folder, texts, threads, run}. */
import { loadModel } from '../../dist/index.js';
import { native } from '../../dist/native/load.js';
import { ourLosses } from './ours.mjs';

const { folder, texts, threads, run } = JSON.parse(process.argv[2]);
native().setThreads(threads);
const model = await loadModel(folder);
await ourLosses(model, texts, run);
process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
