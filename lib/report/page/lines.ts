/** The list of lines: a tick for each, colours as in the figures, and ways to choose among very many. */
import { h, tick } from './dom.js';
import type { Choices, Series } from './series.js';

/** From so many on there are buttons and a filter. */
const kMany = 10;

/** Fills `place`; `draw` is called when another set of lines is chosen. */
export function lineList(place: HTMLElement, series: Series[], choices: Choices, draw: () => void): void {
  const ticks = series.map((each) => {
    const mark = h('span', { class: 'mark', style: `background:${each.color}`, 'aria-hidden': 'true' });
    return tick(h('span', {}, mark, each.title), !choices.hidden.has(each.key), (shown) => {
      if (shown) choices.hidden.delete(each.key);
      else choices.hidden.add(each.key);
      draw();
    });
  });
  const choose = (shown: (each: Series, i: number) => boolean) => () => {
    choices.hidden = new Set(series.filter((each, i) => !shown(each, i)).map((each) => each.key));
    for (const [i, each] of series.entries())
      (ticks[i]!.querySelector('input') as HTMLInputElement).checked = !choices.hidden.has(each.key);
    draw();
  };
  const filter = (event: Event) => {
    const words = (event.target as HTMLInputElement).value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [i, each] of series.entries())
      ticks[i]!.toggleAttribute('hidden', !words.every((word) => each.title.toLowerCase().includes(word)));
  };
  const ceiling = tick('ceiling', choices.ceiling, (value) => {
    choices.ceiling = value;
    draw();
  });
  const many = series.length > kMany;
  const tools = h(
    'div',
    { class: 'controls screen' },
    h(
      'label',
      { class: 'choice wide' },
      h('span', {}, `Find among ${series.length} lines`),
      h('input', { type: 'search', input: filter }),
    ),
    h('button', { type: 'button', click: choose((each) => each.first) }, 'The best'),
    h('button', { type: 'button', click: choose((_, i) => !ticks[i]!.hasAttribute('hidden')) }, 'Those found'),
    h('button', { type: 'button', click: choose(() => false) }, 'None'),
  );
  place.replaceChildren(
    ...(many ? [tools] : []),
    h(
      'div',
      {
        class: many ? 'lines many' : 'lines',
        role: 'group',
        'aria-label': 'Lines of the figures',
        tabindex: many ? 0 : undefined,
      },
      ...ticks,
      ceiling,
    ),
  );
}
