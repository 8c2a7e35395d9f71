/** Finds a Chromium to look at pages with. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const kNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Its path, from `CHROMIUM` or `PATH`; undefined when there is none. */
export function findChromium(): string | undefined {
  const { CHROMIUM, PATH = '' } = process.env;
  if (CHROMIUM) return CHROMIUM;
  const places = PATH.split(delimiter).flatMap((folder) => kNames.map((name) => join(folder, name)));
  return places.find((path) => existsSync(path));
}
