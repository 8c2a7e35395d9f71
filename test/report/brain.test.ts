/** Scores on the brain in a real browser: drawn, moved by keyboard, saved as an image that others read, and told where there is no WebGL2. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMatrix } from '../../lib/data/formats/index.js';
import { readNifti } from '../../lib/data/formats/nifti.js';
import { placed, type Space } from '../../lib/data/space.js';
import { pageAssets, renderReport } from '../../lib/report/report.js';
import type { Results } from '../../lib/study/results.js';
import { findChromium } from '../helpers/chromium.js';
import { largeResults } from '../helpers/large-study.js';
import { bundledPage } from '../helpers/report-page.js';
import { temporaryFolder } from '../helpers/temporary.js';

const folder = temporaryFolder();
const executablePath = findChromium();
const why = executablePath ? '' : ' (not run: no Chromium found; apt-get install chromium, or set CHROMIUM)';
/** Rendering by software on a machine that does other things too. */
const kPatience = { timeout: 15_000 };
const kAffine = [
  [-3, 0, 0, 30],
  [0, 3, 0, -40],
  [0, 0, 3, -20],
];
const kShape = [20, 24, 18] as const;

/** Three cubes in a ball, as the regions of a study. */
function ball(subjects: string[]): Space {
  const inside = (test: (x: number, y: number, z: number) => boolean) => {
    const found: number[] = [];
    for (let z = 0; z < kShape[2]; z++)
      for (let y = 0; y < kShape[1]; y++)
        for (let x = 0; x < kShape[0]; x++) if (test(x, y, z)) found.push(x + kShape[0] * (y + kShape[1] * z));
    return Int32Array.from(found);
  };
  const cube = (a: number, b: number, c: number) =>
    inside((x, y, z) => Math.max(Math.abs(x - a), Math.abs(y - b), Math.abs(z - c)) <= 2);
  const columns = ['ROI-1', 'ROI-2', 'ROI-3'];
  const space = placed({ shape: kShape, affine: kAffine }, [cube(5, 12, 9), cube(14, 12, 9), cube(10, 18, 9)]);
  return { ...space, subjects, columns, outline: inside((x, y, z) => Math.hypot(x - 10, y - 12, z - 9) < 8) };
}

/** Six runs over three regions of the mean and of two subjects. */
function results(): Results {
  const made = largeResults(6, 4, 3, ['mean', 's1', 's2']);
  return { ...made, spaces: new Map([[made.runs[0]!.record.data.hash, [ball(['s1', 's2'])]]]) };
}

beforeAll(bundledPage, 60_000);

describe('the file', () => {
  it('holds the viewer only where there are images, with its licence, below 5 MB', async () => {
    const assets = await pageAssets();
    const plain = renderReport(largeResults(6, 4, 3), assets);
    expect(plain.length).toBeLessThan(1_000_000);
    expect(plain.includes('Niivue')).toBe(false);
    const page = renderReport(results(), assets);
    expect(page.includes('Copyright (c) 2021, Niivue')).toBe(true);
    expect(page.length).toBeLessThan(2_000_000);
    expect(page.match(/'sha256-|&#39;sha256-/g)).toHaveLength(2);
  });

  it('leaves detail out where there is no room, and says so', async () => {
    const assets = await pageAssets();
    const made = largeResults(20, 13, 60);
    const columns = made.runs[0]!.scores!.targets.map(({ roi }) => roi);
    const voxels = columns.map((_, i) => Int32Array.of(i));
    const space = { ...placed({ shape: [4, 4, 4], affine: kAffine }, voxels), columns, subjects: ['s1'] };
    const results = { ...made, spaces: new Map([[made.runs[0]!.record.data.hash, [space]]]) };
    const numbers = (page: string) => /id="data">([^<]*)</.exec(page)![1]!.length;
    const rest = assets.script.length + assets.brain.length + assets.style.length;
    const whole = renderReport(results, assets);
    const fewer = renderReport(results, assets, rest + numbers(whole) - 1);
    expect(numbers(fewer)).toBeLessThan(0.7 * numbers(whole));
    for (const text of ['id="brain"', 'R\u00b2 and alpha are not in this file'])
      expect(fewer.includes(text)).toBe(true);
    const least = renderReport(results, assets, rest);
    expect(least.includes('id="brain"')).toBe(false);
    expect(least.includes('no room for the brain view')).toBe(true);
  });
});

describe.skipIf(!executablePath)(`in a browser${why}`, () => {
  let browser: Browser;
  let problems: string[] = [];
  let path = '';

  async function open(width: number, colorScheme: 'light' | 'dark', before?: () => void): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, offline: true });
    const page = await context.newPage();
    problems = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('request', (request) => {
      if (!/^(file|blob|data):/.test(request.url())) problems.push(request.url());
    });
    if (before) await page.addInitScript(before);
    await page.goto(pathToFileURL(path).href);
    await page.waitForSelector('html[data-complete]');
    return page;
  }

  const status = (page: Page) => page.locator('#brain-place').textContent();
  const drawn = (page: Page) => page.waitForSelector('html[data-complete]');
  const saved = async (page: Page, kind: string) => {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: `Save Scores on the brain as ${kind}` }).click();
    return (await download).path();
  };
  /** Rows of the CSV by place. */
  const rows = async (page: Page) => {
    const [, ...lines] = readFileSync(await saved(page, 'CSV'), 'utf8')
      .trim()
      .split('\n');
    return new Map(lines.map((line) => [line.split(',')[0]!, Number(line.split(',').at(-1))]));
  };

  beforeAll(async () => {
    // WebGL2 without a graphics card.
    const args = ['--no-sandbox', '--enable-unsafe-swiftshader'];
    browser = await chromium.launch({ executablePath: executablePath!, args });
    path = join(folder, 'brain.html');
    writeFileSync(path, renderReport(results(), await pageAssets()));
  }, 60_000);
  afterAll(() => browser?.close());

  it('draws the regions in colour, tells them in words, and goes from place to place by keyboard', async () => {
    const page = await open(1280, 'light');
    expect(await page.locator('#brain canvas').getAttribute('aria-label')).toMatch(
      /^Pearson r of .* at layer \d, on the brain of 2 subjects\. Highest at ROI-\d: 0\.\d+; ROI-\d: 0\.\d+; ROI-\d: /,
    );
    // The picture for paper: its ground is white, the head is gray, the regions are neither.
    const seen = await page.evaluate(async () => {
      const image = document.querySelector<HTMLImageElement>('img.paper')!;
      await image.decode();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      const context = canvas.getContext('2d')!;
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      const count = { white: 0, gray: 0, coloured: 0 };
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b] = [data[i]!, data[i + 1]!, data[i + 2]!];
        if (Math.max(r, g, b) - Math.min(r, g, b) > 60) count.coloured++;
        else if (r > 250) count.white++;
        else if (r > 60 && r < 180) count.gray++;
      }
      const all = data.length / 4;
      return { white: count.white / all, gray: count.gray / all, coloured: count.coloured / all };
    });
    expect(seen.white).toBeGreaterThan(0.2);
    expect(seen.gray).toBeGreaterThan(0.1);
    expect(seen.coloured).toBeGreaterThan(0.01);

    const values = await rows(page);
    await page.getByRole('combobox', { name: 'Go to' }).selectOption({ label: 'ROI-2' });
    await expect.poll(() => status(page), kPatience).toContain(`ROI-2, ${values.get('ROI-2')!.toFixed(3)}.`);
    // The middle of the cube at voxel (14, 12, 9), of which one step to the right is three millimetres to the left.
    expect(await status(page)).toMatch(/^-12, -4, 7 mm/);
    await page.locator('#brain canvas').focus();
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => status(page), kPatience).toMatch(/^-15, -4, 7 mm: ROI-2/);
    for (let i = 0; i < 4; i++) await page.keyboard.press('PageUp');
    await expect.poll(() => status(page), kPatience).toMatch(/^-15, -4, 19 mm: not measured/);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('shows other lines, layers, gains and the best layer; saves what it shows as NIfTI and PNG', async () => {
    const page = await open(390, 'dark');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    const before = await rows(page);
    await page.getByRole('combobox', { name: 'Layer on the brain' }).selectOption('0');
    await drawn(page);
    const first = await rows(page);
    expect(first.get('ROI-1')).not.toBe(before.get('ROI-1'));
    await page.getByRole('combobox', { name: 'What it shows' }).selectOption('gain');
    await drawn(page);
    const gains = await rows(page);
    await page.getByRole('combobox', { name: 'Line on the brain' }).selectOption({ index: 1 });
    await drawn(page);
    expect([...(await rows(page)).keys()]).toEqual(['ROI-1', 'ROI-2', 'ROI-3']);
    expect(Math.abs(gains.get('ROI-1')!)).toBeLessThan(Math.abs(first.get('ROI-1')!));
    await page.getByRole('combobox', { name: 'What it shows' }).selectOption('layer');
    await drawn(page);
    const layers = await rows(page);
    for (const layer of layers.values()) expect([0, 1, 2, 3]).toContain(layer);
    // Opened by the reader of images, in which it lies where the measured image lay.
    const file = join(folder, 'saved.nii');
    writeFileSync(file, readFileSync(await saved(page, 'NIfTI')));
    const { affine, shape } = await readNifti(file, 'saved.nii');
    const { matrix } = await readMatrix(file);
    const counts = [...matrix.data].filter(Number.isFinite).length;
    expect(counts).toBe(3 * 125);
    expect(affine!.slice(0, 3).map((row) => [...row].slice(0, 3))).toEqual(kAffine.map((row) => row.slice(0, 3)));
    expect(shape.every((length, axis) => length <= kShape[axis]!)).toBe(true);
    expect(
      readFileSync(await saved(page, 'PNG'))
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('prints the picture, and says where there is no WebGL2', async () => {
    const page = await open(1280, 'dark');
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('#brain img.paper').isVisible()).toBe(true);
    expect(await page.locator('#brain canvas').isVisible()).toBe(false);
    await page.context().close();
    const without = await open(1280, 'light', () => {
      const real = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, ...rest: never[]) {
        return kind === 'webgl2' ? null : real.call(this, kind, ...rest);
      } as typeof real;
    });
    await expect.poll(() => status(without), kPatience).toMatch(/no WebGL2/);
    expect((await rows(without)).size).toBe(3);
    await without.context().close();
  });
});
