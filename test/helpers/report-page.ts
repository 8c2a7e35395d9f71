/** The report's page, bundled from its sources as they are. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function bundledPage(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../bin/bundle-report.mjs', import.meta.url))]);
}
