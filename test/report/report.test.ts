/** The report: escaped, self-contained, and alive in a real browser. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { escaped, html, scriptJson } from '../../lib/report/html.js';
import { report } from '../../lib/report/report.js';
import { kFormat } from '../../lib/study/records.js';
import { Store } from '../../lib/study/store.js';
import { findChromium } from '../helpers/chromium.js';
import { fakePlan, fakeRun, kStudy, runFake } from '../helpers/fake-study.js';

const folder = mkdtempSync(join(tmpdir(), 'cortune-report-'));
const executablePath = findChromium();
const kAttack = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script><!--';

/** A store whose every name is an attack. */
async function hostileStore(): Promise<string> {
  const out = join(folder, 'hostile');
  const store = await Store.open(out, { create: true });
  const plan = await fakePlan({ ...kStudy, models: [kAttack] });
  const runs = plan.runs.map((run) => {
    const made = fakeRun(run, 5, 2);
    const { record, scores } = made;
    if (scores)
      scores.targets = scores.targets.map((target) => ({
        ...target,
        name: `${target.name}${kAttack}`,
        roi: `${target.roi}${kAttack}`,
      }));
    record.data = { ...record.data, name: kAttack, citation: kAttack, notes: [kAttack], source: kAttack };
    if (record.error) record.error.message = kAttack;
    return made;
  });
  await store.commit(runs);
  const ids = plan.runs.map((run) => run.id);
  await store.saveStudy({ format: kFormat, name: kAttack, file: kAttack, text: `name: ${kAttack}`, runs: ids });
  return out;
}

beforeAll(() => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../bin/bundle-report.mjs', import.meta.url))]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('escaping', () => {
  it('turns markup in values into text', () => {
    expect(html`<p title="${'"><b>'}">${['<i>', html`<b>${'&'}</b>`]}${null}</p>`.text).toBe(
      '<p title="&quot;&gt;&lt;b&gt;">&lt;i&gt;<b>&amp;</b></p>',
    );
    expect(escaped(`'"`)).toBe('&#39;&quot;');
  });

  it('keeps JSON inside its script element', () => {
    const { text } = scriptJson({ a: '</script><!--\u2028' });
    expect(text).not.toMatch(/[<>\u2028]/);
    expect(JSON.parse(text)).toEqual({ a: '</script><!--\u2028' });
  });

  it('leaves no tag of a hostile study in the page', async () => {
    const page = readFileSync(await report(await hostileStore(), { out: join(folder, 'hostile.html') }), 'utf8');
    expect(page.includes('<img')).toBe(false);
    expect(page.match(/<script/g)).toHaveLength(2);
    expect(page.includes('&lt;img src=x')).toBe(true);
  });
});

describe('the file', () => {
  it('is one file without a link to anywhere, well below 5 MB, with the licences of what it holds', async () => {
    await runFake(join(folder, 'study'));
    const page = readFileSync(await report(join(folder, 'study')), 'utf8');
    expect(page.length).toBeLessThan(1_500_000);
    expect(/<(link|img|iframe|script)[^>]+(src|href)=/.test(page)).toBe(false);
    for (const text of ['default-src &#39;none&#39;', '@observablehq/plot', 'd3-scale', 'Copyright'])
      expect(page.includes(text), text).toBe(true);
  });

  it('says what is simulated, what failed, and shows the study', async () => {
    const page = readFileSync(join(folder, 'study', 'report.html'), 'utf8');
    expect(page.includes('Simulated subject.')).toBe(true);
    expect(page.includes('Expected a finite loss, got NaN at step 3.')).toBe(true);
    expect(page.includes('&quot;models&quot;')).toBe(true);
  });

  it('needs runs', async () => {
    const empty = join(folder, 'empty');
    await Store.open(empty, { create: true });
    await expect(report(empty)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});

const why = executablePath ? '' : ' (not run: no Chromium found; apt-get install chromium, or set CHROMIUM)';

describe.skipIf(!executablePath)(`in a browser${why}`, () => {
  let browser: Browser;
  let problems: string[] = [];

  async function open(path: string, width = 1280, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, offline: true });
    const page = await context.newPage();
    problems = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:') && !request.url().startsWith('blob:')) problems.push(request.url());
    });
    await page.goto(pathToFileURL(path).href);
    await page.waitForSelector('html[data-drawn]');
    return page;
  }

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
  }, 60_000);
  afterAll(() => browser?.close());

  it('draws every figure with a text alternative, asks for nothing, logs no error', async () => {
    const page = await open(join(folder, 'study', 'report.html'));
    for (const id of ['curves', 'heat', 'rates', 'losses']) {
      expect(
        await page.locator(`#${id} > svg[role=img] path, #${id} > svg[role=img] rect`).count(),
        id,
      ).toBeGreaterThan(3);
      expect((await page.locator(`#${id} > svg`).first().getAttribute('aria-label'))?.length, id).toBeGreaterThan(60);
    }
    expect(await page.locator('#curves > svg').first().getAttribute('aria-label')).toMatch(
      /untuned: highest 0\.\d+ at layer \d+.*Control word rate: .*Ceiling: 0\.\d+/,
    );
    expect(problems).toEqual([]);
    await page.close();
  });

  it('answers to its choices', async () => {
    const page = await open(join(folder, 'study', 'report.html'));
    const label = () => page.locator('#curves > svg').first().getAttribute('aria-label');
    const before = await label();
    await page.getByRole('combobox', { name: 'Score', exact: true }).selectOption('normalized');
    expect(await label()).toMatch(/^r \/ ceiling/);
    await page.getByRole('combobox', { name: 'Scores of', exact: true }).selectOption('subjects');
    await page.getByRole('combobox', { name: 'Region', exact: true }).selectOption('LIFG');
    expect(await label()).not.toBe(before);
    expect(await page.locator('#band').textContent()).toMatch(/95 % interval over subjects/);
    await page.getByRole('checkbox', { name: 'untuned' }).uncheck();
    expect(await label()).not.toContain('untuned');
    await page.getByRole('checkbox', { name: 'ceiling' }).check();
    expect(await page.locator('#curves > svg').first().textContent()).toContain('ceiling');
    await page.getByRole('combobox', { name: 'Columns', exact: true }).selectOption('');
    expect(await page.locator('#heat-note').textContent()).toMatch(/best layer/);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('filters and sorts the table, by keyboard too', async () => {
    const page = await open(join(folder, 'study', 'report.html'));
    await page.getByLabel('Filter by words').fill('untuned layer 7 mean:LIFG');
    expect(await page.locator('#scores [role=status]').textContent()).toMatch(/^1 of \d+ scores/);
    await page.getByLabel('Filter by words').fill('untuned');
    const head = page.locator('#scores th', { hasText: 'layer' });
    await head.getByRole('button').focus();
    await page.keyboard.press('Enter');
    expect(await head.getAttribute('aria-sort')).toBe('ascending');
    expect(await page.locator('#scores tbody tr').first().locator('td').nth(1).textContent()).toBe('0');
    await page.keyboard.press('Enter');
    expect(await page.locator('#scores tbody tr').first().locator('td').nth(1).textContent()).toBe('12');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as CSV' }).click();
    expect((await download).suggestedFilename()).toBe('scores.csv');
    expect(problems).toEqual([]);
    await page.close();
  });

  it('fits a phone, is dark where asked, and changes on demand', async () => {
    const page = await open(join(folder, 'study', 'report.html'), 360, 'dark');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await page.getByRole('button', { name: 'Dark or light' }).click();
    expect(await ground()).not.toBe(dark);
    await page.close();
  });

  it('runs nothing that comes from names', async () => {
    const page = await open(join(folder, 'hostile.html'));
    for (const choice of ['Scores of', 'Region', 'Columns']) {
      const select = page.getByRole('combobox', { name: choice, exact: true });
      const count = await select.locator('option').count();
      for (let index = 0; index < count; index++) await select.selectOption({ index });
    }
    expect(await page.evaluate(() => (window as unknown as { hacked?: number }).hacked)).toBeUndefined();
    expect(await page.locator('main img').count()).toBe(0);
    expect(problems).toEqual([]);
    await page.close();
  });
});
