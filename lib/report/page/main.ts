/** The report's page: reads the results it carries, offers the choices, draws the figures again when one changes. */
import { unpackBytes } from '../pack.js';
import type { PageData } from '../types.js';
import { BrainView } from './brain.js';
import { at, choice, h } from './dom.js';
import type { Figure } from './frame.js';
import { lineList } from './lines.js';
import { allPlaces, type Place } from './places.js';
import { saveButtons } from './save.js';
import {
  type Choices,
  ceilingOf,
  curve,
  done,
  kScores,
  roisOf,
  type Series,
  seriesOf,
  shortName,
  viewsOf,
} from './series.js';
import { scoreTable } from './table.js';

const data = await unpacked();
const choices: Choices = {
  set: 0,
  model: 'all',
  score: 'r',
  view: 'group',
  roi: 'all',
  ceiling: true,
  hidden: new Set(),
};
/** Regions among which the reader can choose, at most. */
const kChosen = 300;

let heatOf = '';
let series: Series[] = [];

/** The numbers lie in the page deflated, in base64. */
async function unpacked(): Promise<PageData> {
  const text = atob(at('data').textContent ?? '');
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return unpackBytes(new Uint8Array(await new Response(stream).arrayBuffer())) as PageData;
}

function set() {
  return data.sets[choices.set]!;
}

/** A new data set or model brings other lines; the ones beyond the first few start hidden. */
function reset(): void {
  series = seriesOf(data, choices.set, choices.model);
  choices.hidden = new Set(series.filter((each) => !each.first).map((each) => each.key));
  const views = viewsOf(set());
  if (!views.some(([view]) => view === choices.view)) choices.view = views[0]?.[0] ?? 'group';
  if (choices.roi !== 'all' && !roisOf(set()).includes(choices.roi)) choices.roi = 'all';
  heatOf = series.findLast((each) => each.first)?.key ?? '';
  // A ceiling far above every curve would press them flat; it can be put back with one tick.
  const shown = series.filter((each) => each.first);
  const top = Math.max(0, ...shown.flatMap((each) => curve(each, set(), choices)).map((point) => point.high));
  choices.ceiling = !(ceilingOf(set(), choices) > 2.5 * top);
}

function change<Key extends keyof Choices>(key: Key, value: Choices[Key], again = false): void {
  choices[key] = value;
  if (again) reset();
  if (again) drawAll();
  else draw();
}

function scoresThere(): [Choices['score'], string][] {
  const r2 = data.runs.some((run) => run.set === choices.set && run.r2.length > 0);
  return kScores.filter(([key]) => key !== 'r2' || r2);
}

function controls(): void {
  const models = [...new Set(done(data, choices.set).map((run) => run.model))].filter(Boolean);
  // Nobody looks for a voxel in a list.
  const rois = roisOf(set()).length > kChosen ? [] : roisOf(set());
  at('choices').replaceChildren(
    ...[
      choice(
        'Data',
        data.sets.map((each, i) => [String(i), `${each.name}, ${each.folds}`]),
        String(choices.set),
        (value) => change('set', Number(value), true),
      ),
      choice(
        'Model',
        [['all', 'all models'], ...models.map((name): [string, string] => [name, shortName(name)])].slice(
          models.length > 1 ? 0 : 1,
        ) as [string, string][],
        choices.model,
        (value) => change('model', value, true),
      ),
      choice('Score', scoresThere(), choices.score, (value) => change('score', value as Choices['score'])),
      choice('Scores of', viewsOf(set()), choices.view, (value) => change('view', value as Choices['view'])),
      choice(
        'Region',
        [['all', 'mean of all'], ...rois.map((roi): [string, string] => [roi, roi])],
        choices.roi,
        (value) => change('roi', value),
      ),
    ].filter((each) => each !== null),
  );
}

/** Those that the page has: a study without learning rates has no figure of them. */
const kPlaces = allPlaces(data, () => ({ set: set(), series, choices, heatOf })).filter(({ id }) =>
  document.getElementById(id),
);

const drawn = new Map<string, Figure>();
const stale = new Set<Place>();
const seen = new Set<string>();

function put(place: Place): void {
  stale.delete(place);
  const { id, make, note } = place;
  const figure = make(Math.max(280, at(id).clientWidth));
  const { svg, key, words } = figure;
  drawn.set(id, figure);
  if (svg) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', words);
  }
  key?.setAttribute('aria-hidden', 'true');
  at(id).replaceChildren(
    svg ?? h('p', { class: 'quiet' }, words),
    ...(key ? [key] : []),
    ...(figure.ownLines ? [legendOf(figure)] : []),
  );
  at(`${id}-words`).textContent = svg ? words : '';
  at(`${id}-note`).textContent = svg ? (note?.() ?? '') : '';
  at(`${id}-save`).toggleAttribute('hidden', !svg);
}

/** Names of lines that are not in the page's list. */
function legendOf({ lines = [] }: Figure): HTMLElement {
  const entries = lines.map(({ title, color }) =>
    h('span', { class: 'tick' }, h('span', { class: 'mark', style: `background:${color}` }), title),
  );
  return h('div', { class: 'lines quiet', 'aria-hidden': 'true' }, ...entries);
}

/** Figures in sight at once, the others one by one when there is time: a large study must not wait for what nobody looks at. */
function draw(): void {
  if (!set()) return;
  for (const place of kPlaces) stale.add(place);
  for (const place of kPlaces) if (seen.has(place.id)) put(place);
  delete document.documentElement.dataset.complete;
  later();
}

/** The brain is drawn last: it takes the longest, and nothing waits for it. */
const brain = data.brains.length > 0 ? new BrainView(data, () => ({ series, choices })) : undefined;

let waiting = false;
function later(): void {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    const [first] = stale;
    if (first) put(first);
    if (stale.size > 0) return later();
    void (brain?.update() ?? Promise.resolve()).then(() => {
      if (stale.size === 0) document.documentElement.dataset.complete = 'yes';
    });
  }, 15);
}

function follow(): void {
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      else seen.delete(target.id);
      const place = kPlaces.find(({ id }) => id === target.id);
      if (isIntersecting && place && stale.has(place)) put(place);
    }
  });
  for (const { id } of kPlaces) sight.observe(at(id));
  // Figures are as wide as their place: on turning a phone, on resizing, and on paper.
  let width = at('curves').clientWidth;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry?.contentRect.width ?? 0);
    if (now === width || now === 0) return;
    width = now;
    draw();
  }).observe(at('curves'));
  addEventListener('beforeprint', () => {
    for (const place of [...stale]) put(place);
  });
}

function drawAll(): void {
  controls();
  lineList(at('legend'), series, choices, draw);
  const options = [['', 'all lines, best layer of each'], ...series.map((each) => [each.key, each.title])] as [
    string,
    string,
  ][];
  const pick = choice(
    'Columns',
    options.map(([key, title]): [string, string] => [key, key ? `layers of ${title}` : title]),
    heatOf,
    (value) => {
      heatOf = value;
      draw();
    },
  );
  at('heat-choice').replaceChildren(...(pick ? [pick] : []));
  draw();
}

function theme(): void {
  const button = at('theme');
  button.addEventListener('click', () => {
    const dark = getComputedStyle(document.documentElement).colorScheme.includes('dark');
    document.documentElement.dataset.theme = dark ? 'light' : 'dark';
    void brain?.update();
  });
}

/** The table of every score waits until it is near: of a large study it takes a while to sort. */
function table(): void {
  const place = at('scores');
  const near = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      near.disconnect();
      scoreTable(data, place);
    },
    { rootMargin: '600px' },
  );
  near.observe(place);
}

theme();
for (const { id, title } of kPlaces) at(`${id}-save`).replaceChildren(saveButtons(id, title, () => drawn.get(id)));
if (data.sets.length > 0) {
  reset();
  seen.add('curves');
  drawAll();
  follow();
} else {
  for (const { id } of kPlaces) at(id).replaceChildren(h('p', { class: 'quiet' }, 'No run is complete yet.'));
  document.documentElement.dataset.complete = 'yes';
}
table();
document.documentElement.dataset.drawn = 'yes';
