/**
 * What every command shares: the context it runs in, exit codes, results on stdout, tables.
 *
 * A command module (lib/cli/NAME.ts) exports `command: CommandModule` and its handler is one call:
 *
 *     handler: (argv) => runCommand(argv, async (ctx) => {
 *       const model = await loadModel(argv.model, ctx.job);
 *       ctx.note(`Using ${model.source}`);                  // stderr; silent with --quiet
 *       ctx.result({ layers: 3 }, () => table(['layer', 'r'], [[0, 0.12]])); // stdout: JSON with --json, else the text
 *     })
 *
 * `--json` and `--quiet` are options of every command (set in main.ts). stdout holds the result and nothing else; with `--json` it is
 * one JSON document, `{"error": {"code", "message"}}` when the command failed before it had a result. Notes, progress and the error sentence go to stderr.
 * Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted. The first Ctrl-C aborts `ctx.signal`, the second
 * ends the process at once. `CORTUNE_DEBUG=1` adds stacks to error sentences.
 */
import { codeOf, type ErrorCode, printable } from '../errors.js';
import type { JobOptions } from '../native/jobs.js';
import type { Progress } from '../native/types.js';
import { progressBar } from './progress.js';

/** The options every command has. */
export interface CommonOptions {
  json?: boolean | undefined;
  quiet?: boolean | undefined;
}

/** What a command is given. */
export interface CommandContext {
  /** Aborted by the first Ctrl-C (or SIGTERM). Pass it to every library call that takes one. */
  signal: AbortSignal;
  json: boolean;
  quiet: boolean;
  /** Draws a bar on stderr when that is a terminal; pass it as `onProgress`. */
  progress: (progress: Progress) => void;
  /** Both, as long library calls take them. */
  job: Required<JobOptions>;
  /** A line for people on stderr; silent with --quiet. */
  note(line: string): void;
  /** The command's result, once: `value` as JSON with --json, else `text`. */
  result(value: unknown, text: string | (() => string)): void;
}

/** A command ran to its end and found that something is missing: exit code 1 after its result, with no error sentence. */
export class FailedResult extends Error {}

/** The exit code of an error with this code. */
export function exitCodeOf(code: ErrorCode): number {
  if (code === 'ERR_CANCELLED') return 130;
  return code === 'ERR_ARGUMENT' || code === 'ERR_CONFIG' ? 2 : 1;
}

/** Runs one command: context, Ctrl-C, error sentence, exit code (left in `process.exitCode`). */
export async function runCommand(
  options: CommonOptions,
  run: (context: CommandContext) => Promise<void>,
): Promise<void> {
  const json = options.json === true;
  const quiet = options.quiet === true;
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    if (!quiet) process.stderr.write('\nStopping; press Ctrl-C again to stop at once.\n');
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const bar = progressBar({ quiet });
  let printed = false;
  try {
    await run({
      signal: controller.signal,
      json,
      quiet,
      progress: bar.update,
      job: { signal: controller.signal, onProgress: bar.update },
      note: (line) => {
        bar.clear();
        if (!quiet) process.stderr.write(`${line}\n`);
      },
      result: (value, text) => {
        bar.clear();
        printed = true;
        printLine(json ? JSON.stringify(value, null, 2) : typeof text === 'string' ? text : text());
      },
    });
    process.exitCode = 0;
  } catch (error) {
    bar.clear();
    if (error instanceof FailedResult) process.exitCode = 1;
    else process.exitCode = printError(error, { json: json && !printed, aborted: controller.signal.aborted });
  } finally {
    bar.clear();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** Prints one sentence with its code on stderr (and JSON on stdout with --json); returns the exit code. */
export function printError(error: unknown, options: { json?: boolean; aborted?: boolean } = {}): number {
  const abort = options.aborted === true || (error as Error | null)?.name === 'AbortError';
  const code: ErrorCode = abort ? 'ERR_CANCELLED' : codeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  const message = code === 'ERR_CANCELLED' ? 'Interrupted.' : printable(said.trim());
  if (options.json) printLine(JSON.stringify({ error: { code, message } }, null, 2));
  process.stderr.write(`cortune: ${message} [${code}]\n`);
  if (process.env.CORTUNE_DEBUG === '1') process.stderr.write(`${stackOf(error)}\n`);
  return exitCodeOf(code);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

function printLine(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** A cell of a table: numbers are right-aligned (3 decimals unless whole), null and NaN are a dash. */
export type Cell = string | number | null | undefined;

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return '-';
  if (typeof cell === 'string') return printable(cell);
  if (!Number.isFinite(cell)) return '-';
  return Number.isInteger(cell) ? String(cell) : cell.toFixed(3);
}

/** Plain-text columns under a header, two spaces apart; columns holding only numbers are right-aligned. */
export function table(header: string[], rows: Cell[][]): string {
  const text = rows.map((row) => header.map((_, column) => cellText(row[column])));
  const widths = header.map((title, column) => Math.max(title.length, ...text.map((row) => row[column]!.length)));
  const right = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] !== 'string' || row[column] === ''),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => (right[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...text.map(line)].join('\n');
}
