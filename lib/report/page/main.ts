/** The report's page: reads the results it carries, offers the choices, draws the figures again when one changes. */
import type { PageData } from '../types.js';
import { at, choice, h, number, tick } from './dom.js';
import { layerCurves, lossCurves, rateCurve } from './figures.js';
import type { Figure } from './frame.js';
import { heatMap } from './heat-map.js';
import {
  type Choices,
  ceilingOf,
  curve,
  done,
  hasFoldBand,
  kScores,
  roisOf,
  type Series,
  seriesOf,
  shortName,
  viewsOf,
} from './series.js';
import { scoreTable } from './table.js';

const kShownAtFirst = 8;
const data = JSON.parse(at('data').textContent ?? '') as PageData;
const choices: Choices = {
  set: 0,
  model: 'all',
  score: 'r',
  view: 'group',
  roi: 'all',
  ceiling: true,
  hidden: new Set(),
};
let heatOf = '';
let series: Series[] = [];

function set() {
  return data.sets[choices.set]!;
}

/** A new data set or model brings other lines; the ones beyond the first few start hidden. */
function reset(): void {
  series = seriesOf(data, choices.set, choices.model);
  choices.hidden = new Set(series.slice(kShownAtFirst).map((each) => each.key));
  const views = viewsOf(set());
  if (!views.some(([view]) => view === choices.view)) choices.view = views[0]?.[0] ?? 'group';
  if (choices.roi !== 'all' && !roisOf(set()).includes(choices.roi)) choices.roi = 'all';
  heatOf = series.at(-1)?.key ?? '';
  // A ceiling far above every curve would press them flat; it can be put back with one tick.
  const top = Math.max(0, ...series.flatMap((each) => curve(each, set(), choices)).map((point) => point.high));
  choices.ceiling = !(ceilingOf(set(), choices) > 2.5 * top);
}

function change<Key extends keyof Choices>(key: Key, value: Choices[Key], again = false): void {
  choices[key] = value;
  if (again) reset();
  if (again) drawAll();
  else draw();
}

function controls(): void {
  const models = [...new Set(done(data, choices.set).map((run) => run.model))].filter(Boolean);
  const rois = roisOf(set());
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
      choice('Score', kScores, choices.score, (value) => change('score', value as Choices['score'])),
      choice('Scores of', viewsOf(set()), choices.view, (value) => change('view', value as Choices['view'])),
      choice(
        'Region',
        [['all', 'mean of all'], ...rois.map((roi): [string, string] => [roi, roi])],
        choices.roi,
        (value) => change('roi', value),
      ),
      tick('ceiling', choices.ceiling, (value) => change('ceiling', value)),
    ].filter((each) => each !== null),
  );
}

function legend(): void {
  const mark = (each: Series) => h('span', { class: 'mark', style: `background:${each.color}`, 'aria-hidden': 'true' });
  at('legend').replaceChildren(
    ...series.map((each) =>
      tick(h('span', {}, mark(each), each.title), !choices.hidden.has(each.key), (shown) => {
        if (shown) choices.hidden.delete(each.key);
        else choices.hidden.add(each.key);
        draw();
      }),
    ),
  );
}

function put(id: string, make: (width: number) => Figure): void {
  const place = at(id);
  const { svg, key, words } = make(Math.max(280, place.clientWidth));
  if (svg) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', words);
  }
  key?.setAttribute('aria-hidden', 'true');
  place.replaceChildren(svg ?? h('p', { class: 'quiet' }, words), ...(key ? [key] : []));
  at(`${id}-words`).textContent = svg ? words : '';
}

function bandNote(): string {
  if (choices.view === 'subjects') return 'Bands: 95 % interval over subjects.';
  return hasFoldBand(choices) ? 'Bands: plus and minus one standard error over folds.' : '';
}

function ceilingNote(): string {
  const ceiling = ceilingOf(set(), choices);
  if (!Number.isFinite(ceiling)) return 'No ceiling could be estimated.';
  return choices.ceiling ? '' : `The ceiling, ${number(ceiling)}, lies outside of the figure; tick it to see it.`;
}

function draw(): void {
  if (!set()) return;
  put('curves', (width) => layerCurves(data, set(), series, choices, width));
  put('heat', (width) => heatMap(set(), series, choices, heatOf, width));
  put('rates', (width) => rateCurve(data, set(), series, choices, width));
  put('losses', (width) => lossCurves(series, choices, width));
  at('band').textContent = [bandNote(), ceilingNote()].filter(Boolean).join(' ');
  const one = series.find((each) => each.key === heatOf);
  at('heat-note').textContent = one ? `Layers of ${one.title}.` : 'Each line at its best layer.';
}

function drawAll(): void {
  controls();
  legend();
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
  });
}

/** Figures are as wide as their place: on turning a phone, on resizing, and on paper. */
function follow(): void {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry?.contentRect.width ?? 0);
    if (now === width) return;
    width = now;
    draw();
  }).observe(at('curves'));
}

theme();
if (data.sets.length > 0) {
  reset();
  drawAll();
  follow();
} else {
  for (const id of ['curves', 'heat', 'rates', 'losses'])
    at(id).replaceChildren(h('p', { class: 'quiet' }, 'No run is complete yet.'));
}
scoreTable(data, at('scores'));
document.documentElement.dataset.drawn = 'yes';
