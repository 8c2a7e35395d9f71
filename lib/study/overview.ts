/** The state of a store at a glance: its studies, who computes what, what waits in Slurm's queue, and how long it will take. */
import { type LiveProcess, liveProcesses } from './live.js';
import { runTitle } from './plan.js';
import type { RunRecord, StudyRecord } from './records.js';
import { studiesNamed } from './results.js';
import { Store } from './store.js';
import { type StoreTask, storeTasks } from './submissions.js';

export type RunState = 'done' | 'failed' | 'running' | 'queued' | 'left';

/** A run that a study asks for. */
export interface RunView {
  id: string;
  /** '' where nothing is known of it but its name. */
  title: string;
  state: RunState;
  /** Why it failed. */
  error?: string | undefined;
}

export interface StudyView {
  name: string;
  file: string;
  runs: RunView[];
  counts: Record<RunState, number>;
  /** s, from the time that its finished batches took; null before there is one, 0 when all is done. */
  secondsLeft: number | null;
}

export interface Overview {
  folder: string;
  studies: StudyView[];
  /** At work now, on any host. */
  processes: LiveProcess[];
  /** In Slurm's queue. */
  tasks: StoreTask[];
}

/** What an overview needs of a run's record; kept between looks, as a run that is done does not change. */
export type KnownRun = Pick<RunRecord, 'status' | 'labels' | 'seconds' | 'error'>;

export interface OverviewOptions {
  /** Only the study of this name. */
  study?: string | undefined;
  /** Runs that are known to be done from an earlier look; new ones are added. */
  known?: Map<string, KnownRun> | undefined;
}

/** Looks at a store. Throws ERR_NOT_FOUND where there is none, ERR_FORMAT for a damaged record, ERR_IO. */
export async function overview(folder: string, options: OverviewOptions = {}): Promise<Overview> {
  const store = await Store.open(folder);
  const studies = await studiesNamed(store, options.study);
  const [there, tasks] = await Promise.all([knownRuns(store, options.known), storeTasks(folder)]);
  const processes = liveProcesses(folder);
  const running = new Set(processes.flatMap(({ batch }) => batch?.runs ?? []));
  const queued = new Set(tasks.flatMap((task) => task.runs));
  const stateOf = (id: string): RunState => {
    if (running.has(id)) return 'running';
    return there.get(id)?.status ?? (queued.has(id) ? 'queued' : 'left');
  };
  const views = studies.map((study): StudyView => {
    const runs = study.runs.map((id): RunView => {
      const record = there.get(id);
      return {
        id,
        title: record ? runTitle(record.labels) : '',
        state: stateOf(id),
        ...(record?.error && { error: record.error.message }),
      };
    });
    const counts = { done: 0, failed: 0, running: 0, queued: 0, left: 0 };
    for (const { state } of runs) counts[state]++;
    return { name: study.name, file: study.file, runs, counts, secondsLeft: secondsLeft(study, there, processes) };
  });
  return { folder, studies: views, processes, tasks };
}

/** The records of all runs of a store; those that are done are read once. */
async function knownRuns(store: Store, known = new Map<string, KnownRun>()): Promise<Map<string, KnownRun>> {
  const ids = await store.ids();
  const now = new Set(ids);
  for (const id of known.keys()) if (!now.has(id)) known.delete(id);
  for (const record of await store.runs(ids.filter((id) => known.get(id)?.status !== 'done'))) {
    const { status, labels, seconds, error } = record;
    known.set(record.id, { status, labels, seconds, error });
  }
  return known;
}

/** Operations left, at the speed of the batches that are done, with as many processes as there are now. */
function secondsLeft(
  { batches, runs }: StudyRecord,
  there: ReadonlyMap<string, KnownRun>,
  processes: readonly LiveProcess[],
): number | null {
  if (runs.every((id) => there.has(id))) return 0;
  let [seconds, flops] = [0, 0];
  for (const batch of batches ?? []) {
    const times = batch.runs.map((id) => there.get(id)?.seconds).filter((each) => each !== undefined);
    if (times.length < batch.runs.length) continue;
    const took = Math.max(...times.map((each) => Object.values(each).reduce((sum, value) => sum + value, 0)));
    if (took > 0) [seconds, flops] = [seconds + took, flops + batch.flops];
  }
  if (flops === 0) return null;
  const speed = flops / seconds;
  const started = new Map(processes.flatMap(({ batch }) => (batch?.runs ?? []).map((id) => [id, batch!.since])));
  let left = 0;
  for (const batch of batches ?? []) {
    const pending = batch.runs.filter((id) => !there.has(id));
    const since = pending.map((id) => started.get(id)).find((each) => each !== undefined);
    const done = since === undefined ? 0 : ((Date.now() - since) / 1000) * speed;
    const all = (batch.flops * pending.length) / batch.runs.length;
    left += Math.max(all * 0.05, all - done);
  }
  return left / speed / Math.max(1, processes.filter(({ batch }) => batch).length);
}
