// Formats the C++ and CUDA files of native/ with clang-format; with --check only says which are not formatted.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = createRequire(import.meta.url)('clang-format').getNativeBinary();
const files = readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(h|cc|cu|cuh)$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name));

const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
const { status } = spawnSync(program, [...mode, '--style=file', ...files], { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
