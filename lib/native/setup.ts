/** All of set-up: libtorch, then an addon that fits it. Doing it twice costs nothing. */
import { CortuneError } from '../errors.js';
import { buildAddon, isUpToDate } from './build.js';
import { ensureLibtorch, type SetupOptions } from './install.js';
import { findLibtorch, type Libtorch } from './libtorch.js';
import { type Addon, findAddon } from './load.js';
import { cmake, compiler, make, pip, python, requireTools } from './tools.js';

export interface SetupResult {
  libtorch: Libtorch;
  addon: Addon;
  /** The addon was compiled now. */
  built: boolean;
}

/**
 * Installs libtorch when none is found, and compiles the addon when there is no prebuild for it, or (`build`) in any case where its
 * sources changed. Throws ERR_SETUP naming every missing program at once, before anything is downloaded.
 */
export async function setUp(options: SetupOptions & { build?: boolean } = {}): Promise<SetupResult> {
  if (process.platform !== 'linux')
    throw new CortuneError(
      'ERR_SETUP',
      `cortune runs on Linux, got ${process.platform}. Use a Linux machine or a container.`,
    );
  const found = findLibtorch();
  const prebuilt = findAddon()?.kind === 'prebuild' && options.build !== true;
  const compiles = !prebuilt && !(found && isUpToDate(found));
  const needed = [...(found ? [] : [python(), pip()]), ...(compiles ? [cmake(), compiler(), make()] : [])];
  requireTools(await Promise.all(needed));
  const libtorch = found ?? (await ensureLibtorch(options));
  const built = prebuilt ? false : await buildAddon(libtorch, options);
  return { libtorch, addon: findAddon()!, built };
}
