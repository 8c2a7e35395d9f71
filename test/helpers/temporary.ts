/** Temporary folders that are gone after the test file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A fresh empty folder, removed when the file's tests are done. Call it in the file or in a hook, not inside a test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cortune-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
