/** The one error class of cortune, its codes, and the one sentence form for bad input. */

/** What went wrong, for programs. The message says it for people: what was expected, what was got, what to do. */
export type ErrorCode =
  | 'ERR_ARGUMENT' // a value of the wrong type or out of range (thrown as TypeError or RangeError with this code)
  | 'ERR_CONFIG' // a study, dataset or model description that does not hold together
  | 'ERR_DATA' // readable, but unusable: NaN, constant, empty, mismatched rows
  | 'ERR_FORMAT' // a file that is not what it says: truncated, lying header, unknown type
  | 'ERR_NOT_FOUND' // a file, model, tensor or module that is not there
  | 'ERR_IO' // the system refused: permissions, full disk
  | 'ERR_NETWORK' // a download that failed
  | 'ERR_SETUP' // libtorch or the addon is missing or does not fit
  | 'ERR_MEMORY' // out of memory
  | 'ERR_NUMERIC' // a loss or factorisation that is not finite
  | 'ERR_CANCELLED' // AbortSignal, Ctrl-C
  | 'ERR_DISPOSED' // a handle used after dispose()
  | 'ERR_INTERNAL'; // a bug of ours

/** Every failure that is not a wrong argument. */
export class CortuneError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CortuneError';
    this.code = code;
  }
}

/** Shows a value in an error message: short, on one line, with its type. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return `\`${value}\``;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number') return `\`${value}\` (number)`; // JSON has no NaN
  let text: string;
  try {
    text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  } catch {
    text = String(value);
  }
  text = printable(text.replace(/\s+/g, ' '));
  if (text.length > 60) text = `${text.slice(0, 57)}...`;
  const type = Array.isArray(value) ? 'array' : value instanceof Object ? value.constructor.name : typeof value;
  return `\`${text}\` (${type})`;
}

/** Without what moves the cursor of a terminal or colours it: names and files may hold anything. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffd]/g, '?');
}

function argumentError(Base: typeof TypeError | typeof RangeError, message: string): Error {
  return Object.assign(new Base(message), { code: 'ERR_ARGUMENT' as ErrorCode });
}

/**
 * The one sentence form for a wrong argument: ``Expected `rank` to be an integer from 1 to 576, got `0` (number)``.
 * A TypeError when the type is wrong, a RangeError when the type is right and the value is not.
 */
export function expected(name: string, toBe: string, got: unknown, kind: 'type' | 'range' = 'range'): Error {
  return argumentError(
    kind === 'type' ? TypeError : RangeError,
    `Expected \`${name}\` to be ${toBe}, got ${show(got)}`,
  );
}

/** Throws ERR_CANCELLED once the signal is aborted: between the parts of long work. */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CortuneError('ERR_CANCELLED', 'Interrupted.', { cause: signal.reason });
}

/** The code of any error, ours or the system's. */
export function codeOf(error: unknown): ErrorCode {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return 'ERR_INTERNAL';
  if (code.startsWith('ERR_') && !code.startsWith('ERR_INVALID')) return code as ErrorCode;
  if (code === 'ENOENT') return 'ERR_NOT_FOUND';
  return /^E[A-Z0-9]+$/.test(code) ? 'ERR_IO' : 'ERR_INTERNAL';
}
