/** The figures of the page: what each is called, how it is made from what the reader chose, and what is written below it. */

import { decimals } from '../decimals.js';
import type { PageData, PageMeasure, PageSet } from '../types.js';
import { controlBars, measureCurves, subjects } from './beside.js';
import { layerCurves, lossCurves, rateCurve } from './figures.js';
import type { Figure } from './frame.js';
import { gainNote, gains } from './gains.js';
import { heatMap, kHighest, kRegions } from './heat-map.js';
import { type Choices, ceilingOf, hasFoldBand, mean, roisOf, type Series, subjectsOf } from './series.js';
import { rateMap, sizes } from './sweeps.js';

/** The page at this moment. */
export interface Now {
  set: PageSet;
  series: Series[];
  choices: Choices;
  /** The line whose layers the map of regions shows; '' for all lines. */
  heatOf: string;
}

export interface Place {
  id: string;
  title: string;
  make(width: number): Figure;
  /** What is written below it. */
  note?: () => string;
}

/** All of them; a page has those that its results call for. */
export function allPlaces(data: PageData, now: () => Now): Place[] {
  return [
    {
      id: 'curves',
      title: 'Scores layer by layer',
      make: (width) => layerCurves(data, now().set, now().series, now().choices, width),
      note: () => [bandNote(now()), ceilingNote(now())].filter(Boolean).join(' '),
    },
    {
      id: 'gains',
      title: 'Gain over the untuned model',
      make: (width) => gains(data, now().series, now().choices, width),
      note: () => gainNote(data, now().choices),
    },
    {
      id: 'controls',
      title: 'Scores beside controls',
      make: (width) => controlBars(data, now().set, now().series, now().choices, width),
    },
    {
      id: 'heat',
      title: 'Scores of regions',
      make: (width) => heatMap(now().set, now().series, now().choices, now().heatOf, width),
      note: () => {
        const one = now().series.find((each) => each.key === now().heatOf);
        const many = roisOf(now().set).length;
        const some = many > kRegions ? ` The highest ${kHighest} of ${many}; the table of every score has all.` : '';
        return (one ? `Layers of ${one.title}.` : 'Each line at its best layer.') + some;
      },
    },
    {
      id: 'subjects',
      title: 'Scores of subjects',
      make: (width) => subjects(now().set, now().series, now().choices, width),
    },
    {
      id: 'rates',
      title: 'Scores over the learning rate',
      make: (width) => rateCurve(data, now().set, now().series, now().choices, width),
    },
    {
      id: 'rate-map',
      title: 'Scores by learning rate and method',
      make: (width) => rateMap(now().set, now().series, now().choices, width),
    },
    {
      id: 'sizes',
      title: 'Scores over the size of the model',
      make: (width) => sizes(now().set, now().series, now().choices, width),
    },
    { id: 'losses', title: 'Training loss', make: (width) => lossCurves(now().series, now().choices, width) },
    ...data.measures.map(
      (measure): Place => ({
        id: `${measure.id}-curves`,
        title: measure.title,
        make: (width) => measureCurves(measure, now().series, now().choices, width),
        note: () => measureNote(measure, now()),
      }),
    ),
  ];
}

function measureNote({ chance, regions, ceilings }: PageMeasure, { choices, set }: Now): string {
  const wanted = regions.includes(choices.roi) ? [choices.roi] : roisOf(set);
  const bounds = ceilings.filter((bound, i) => bound !== null && wanted.includes(regions[i]!));
  const [lower, upper] = [0, 1].map((i) => decimals(mean(bounds.map((bound) => bound![i]))));
  return [
    chance === null ? '' : `Dotted: ${decimals(chance)}, by chance.`,
    bounds.length === 0 ? '' : `Ceiling, how alike subjects are: ${lower} to ${upper}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

function bandNote({ choices, set }: Now): string {
  if (choices.view === 'subjects') return subjectsOf(set).length > 1 ? 'Bands: 95 % interval over subjects.' : '';
  return hasFoldBand(choices) ? 'Bands: plus and minus one standard error over folds.' : '';
}

function ceilingNote({ choices, set }: Now): string {
  const ceiling = ceilingOf(set, choices);
  if (!Number.isFinite(ceiling)) return 'No ceiling could be estimated.';
  return choices.ceiling ? '' : `The ceiling, ${decimals(ceiling)}, lies outside of the figure; tick it to see it.`;
}
