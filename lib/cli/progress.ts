/** A progress bar on stderr: drawn only on a terminal, at most ten times a second, always on one line. */
import type { Progress } from '../native/types.js';

export interface ProgressBar {
  update(progress: Progress): void;
  /** Wipes the line, so that other text can be printed. */
  clear(): void;
}

/** The part of a stream the bar needs; process.stderr is one. */
export interface BarStream {
  isTTY?: boolean | undefined;
  columns?: number | undefined;
  write(text: string): unknown;
}

const kBarWidth = 24;
const kRedrawEvery = 100; // ms

export function progressBar(options: { quiet?: boolean; stream?: BarStream } = {}): ProgressBar {
  const stream = options.stream ?? process.stderr;
  if (options.quiet || !stream.isTTY) return { update: () => {}, clear: () => {} };
  let drawn = false;
  let drawnAt = 0;
  let stage = '';
  let startedAt = 0;
  return {
    update(progress) {
      const now = Date.now();
      if (progress.stage !== stage) {
        stage = progress.stage;
        startedAt = now;
      } else if (now - drawnAt < kRedrawEvery && progress.done < progress.total) {
        return;
      }
      drawnAt = now;
      drawn = true;
      stream.write(`\r\x1b[2K${barLine(progress, now - startedAt, stream.columns ?? 80)}`);
    },
    clear() {
      if (drawn) stream.write('\r\x1b[2K');
      drawn = false;
    },
  };
}

/** One line: `stage  [####....]  45%  12/26  3 s left  0.512 0.498`, cut to the width of the terminal. */
export function barLine(progress: Progress, elapsedMs: number, columns: number): string {
  const { done, total, values } = progress;
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const filled = Math.round(share * kBarWidth);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(kBarWidth - filled)}]`;
  const parts = [progress.stage, bar, `${Math.floor(share * 100)}%`.padStart(4), counts(done, total)];
  if (share > 0.02 && share < 1 && elapsedMs > 1000) parts.push(`${duration((elapsedMs / share) * (1 - share))} left`);
  if (values && values.length > 0) parts.push(shown(values));
  return parts
    .filter(Boolean)
    .join('  ')
    .slice(0, Math.max(10, columns - 1));
}

/** Large totals are bytes: downloads count them, and no other count passes ten million. */
function counts(done: number, total: number): string {
  if (total <= 0) return '';
  return total >= 1e7 ? `${bytes(done)}/${bytes(total)}` : `${done}/${total}`;
}

function shown(values: number[]): string {
  const first = values.slice(0, 4).map((value) => (Number.isFinite(value) ? value.toFixed(3) : 'diverged'));
  return values.length > 4 ? `${first.join(' ')} ...` : first.join(' ');
}

/** `40 s`, `12 min`, `7 h`, `3 days` */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** `190 MB`, `1.2 GB`: decimal units, as package indexes show sizes. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
