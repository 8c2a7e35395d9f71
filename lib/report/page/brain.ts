/** Scores on the brain: choices, the viewer (NiiVue, a script of its own), the place under the crosshair, and files to save. */

import { decimals } from '../decimals.js';
import type { PageBrain, PageData } from '../types.js';
import { colorOf, noteOf, peak, rangeOf, voxelAt } from './brain-look.js';
import { type BrainChoices, type BrainMap, brainMap, headOf, placesOf, type Shown } from './brain-map.js';
import { at, choice, h } from './dom.js';
import { kPlain, niftiFile } from './nifti.js';
import type { BrainImage, BrainLook, BrainViewer, OpenBrain, Place } from './niivue.js';
import { csvBlob, download } from './save.js';
import type { Choices, Series } from './series.js';

const kTitle = 'Scores on the brain';
const kShown: [Shown, string][] = [
  ['score', 'score'],
  ['gain', 'score less the untuned model\u2019s'],
  ['layer', 'layer of the highest score'],
];

const kPaper: BrainLook = { ground: [1, 1, 1], text: [0, 0, 0] };

/** The lines and choices of the page at this moment. */
type Now = () => { series: Series[]; choices: Choices };

export class BrainView {
  readonly #data: PageData;
  readonly #now: Now;
  readonly #canvas = h('canvas', { tabindex: 0, role: 'img' }) as HTMLCanvasElement;
  readonly #printed = h('img', { class: 'paper', alt: '' }) as HTMLImageElement;
  readonly #status = h('p', { role: 'status', class: 'quiet', id: 'brain-place' });
  readonly #scale = h('div', { 'aria-hidden': 'true', class: 'scale' });
  #chosen: BrainChoices = { brain: -1, line: '', show: 'score', layer: -1 };
  #map: BrainMap | undefined;
  #places: Int32Array = new Int32Array();
  #viewer: Promise<BrainViewer> | undefined;
  /** The voxel under the crosshair. */
  #voxel: Place = [0, 0, 0];

  constructor(data: PageData, now: Now) {
    this.#data = data;
    this.#now = now;
    at('brain').replaceChildren(h('div', { class: 'brain' }, this.#canvas), this.#printed, this.#scale, this.#status);
    this.#canvas.addEventListener('keydown', (event) => void this.#key(event));
    // A page that is scrolled must not stop at the picture: the wheel turns slices where the picture is focused.
    const wheel = (event: Event) => document.activeElement !== this.#canvas && event.stopPropagation();
    at('brain').addEventListener('wheel', wheel, { capture: true });
    addEventListener('beforeprint', () => void this.#print());
    at('brain-save').replaceChildren(this.#saves());
  }

  get #brain(): PageBrain {
    return this.#data.brains[this.#chosen.brain]!;
  }

  /** Draws again after a change of the page's choices. Resolves when it is drawn. */
  async update(): Promise<void> {
    const { series, choices } = this.#now();
    const there = this.#data.brains.flatMap(({ set }, i) => (set === choices.set ? [i] : []));
    at('brain-title')
      .closest('section')!
      .toggleAttribute('hidden', there.length === 0);
    if (there.length === 0 || series.length === 0) return;
    if (!there.includes(this.#chosen.brain)) this.#chosen.brain = there[0]!;
    if (!series.some(({ key }) => key === this.#chosen.line))
      this.#chosen.line = (series.findLast((each) => each.first) ?? series[0]!).key;
    this.#controls(there, series);
    await this.#draw();
  }

  #change(part: Partial<BrainChoices>): void {
    Object.assign(this.#chosen, part);
    delete document.documentElement.dataset.complete;
    void this.update().then(() => {
      document.documentElement.dataset.complete = 'yes';
    });
  }

  #controls(there: number[], series: Series[]): void {
    const { brain, line, show, layer } = this.#chosen;
    const { layers } = (series.find(({ key }) => key === line) ?? series[0]!).runs[0]!;
    const single = this.#brain.targets !== null;
    const options = (values: number[]) => values.map((value): [string, string] => [String(value), `layer ${value}`]);
    const brains = there.map((i): [string, string] => [String(i), this.#data.brains[i]!.title]);
    const focused = document.activeElement?.id;
    at('brain-choice').replaceChildren(
      ...[
        choice('Brain of', brains, String(brain), (value) => this.#change({ brain: Number(value) })),
        choice(
          'Line on the brain',
          series.map(({ key, title }): [string, string] => [key, title]),
          line,
          (value) => this.#change({ line: value }),
        ),
        choice('What it shows', single ? kShown : kShown.slice(0, 2), show, (value) =>
          this.#change({ show: value as Shown }),
        ),
        single && show !== 'layer'
          ? choice('Layer on the brain', [['-1', 'best layer'], ...options(layers)], String(layer), (value) =>
              this.#change({ layer: Number(value) }),
            )
          : null,
        this.#placeChoice(),
      ].filter((each) => each !== null),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  /** Goes to a region; of very many places only the ones with the highest numbers are named. */
  #placeChoice(): HTMLElement | null {
    const { names } = this.#brain;
    const values = this.#map?.values ?? new Float64Array(names.length);
    const order = [...names.keys()].sort((a, b) => (values[b] || -1) - (values[a] || -1)).slice(0, 100);
    const options = order.map((place): [string, string] => [String(place), names[place]!]);
    return choice(
      'Go to',
      [['', 'a place'], ...options],
      '',
      (value) => value !== '' && void this.#goTo(Number(value)),
    );
  }

  async #draw(): Promise<void> {
    const { series, choices } = this.#now();
    const brain = this.#brain;
    const map = brainMap(this.#data, series, choices, this.#chosen);
    this.#map = map;
    this.#places = placesOf(brain);
    this.#canvas.setAttribute('aria-label', map.words);
    at('brain-words').textContent = map.words;
    at('brain-note').textContent = `${map.title}. ${noteOf(brain, this.#chosen.show)}`;
    const [low, high] = rangeOf(map.values, this.#chosen.show);
    this.#drawScale(low, high);
    const values = Float32Array.from(this.#places, (place) => (place < 0 ? Number.NaN : map.values[place]!));
    const images: BrainImage[] = [
      { file: this.#file(headOf(brain, this.#places), 'head'), low: 0.01, high: 2.5, colors: 'gray', opacity: 1 },
      {
        file: this.#file(values, map.title),
        low,
        high,
        colors: this.#chosen.show === 'gain' ? 'gains' : 'scores',
        opacity: 1,
      },
    ];
    const viewer = await this.#open();
    if (!viewer) return;
    await viewer.show(images, { ground: colorOf('--panel'), text: colorOf('--text') });
    if (this.#status.textContent === '') await this.#goTo(peak(map.values));
    this.#printed.src = viewer.picture(kPaper);
    this.#printed.alt = map.words;
  }

  async #open(): Promise<BrainViewer | undefined> {
    const open = (globalThis as { cortuneBrain?: OpenBrain }).cortuneBrain;
    this.#viewer ??= open!(this.#canvas, (mm) => this.#tell(mm));
    return this.#viewer.catch(() => {
      this.#canvas.parentElement!.hidden = true;
      this.#status.textContent =
        'This browser has no WebGL2, which the picture needs; its numbers can be saved as CSV.';
      return undefined;
    });
  }

  #file(values: Float32Array, description: string): ArrayBuffer {
    return niftiFile(values, this.#brain.shape, this.#brain.affine, description);
  }

  #tell(mm: Place): void {
    const { shape, affine, names } = this.#brain;
    this.#voxel = voxelAt(mm, affine ?? kPlain);
    const [x, y, z] = this.#voxel;
    const place = this.#places[x + shape[0] * (y + shape[1] * z)] ?? -1;
    const where = affine ? `${mm.map(Math.round).slice(0, 3).join(', ')} mm` : `voxel ${x}, ${y}, ${z}`;
    this.#status.textContent =
      place < 0 ? `${where}: not measured.` : `${where}: ${names[place]}, ${decimals(this.#map?.values[place])}.`;
  }

  async #goTo(place: number): Promise<void> {
    const [width, height] = this.#brain.shape;
    const members = [...this.#places.keys()].filter((voxel) => this.#places[voxel] === place);
    const voxel = members[Math.floor(members.length / 2)];
    if (voxel !== undefined)
      await this.#toVoxel([voxel % width, Math.floor(voxel / width) % height, Math.floor(voxel / (width * height))]);
  }

  async #toVoxel([x, y, z]: Place): Promise<void> {
    const mm = (this.#brain.affine ?? kPlain).map(([a, b, c, d]) => a! * x + b! * y + c! * z + d!);
    (await this.#viewer)?.goTo(mm as unknown as Place);
  }

  /** Arrows, page up and page down: one voxel further. */
  async #key(event: KeyboardEvent): Promise<void> {
    const steps: Record<string, [number, number, number]> = {
      ArrowLeft: [-1, 0, 0],
      ArrowRight: [1, 0, 0],
      ArrowUp: [0, 1, 0],
      ArrowDown: [0, -1, 0],
      PageUp: [0, 0, 1],
      PageDown: [0, 0, -1],
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const to = this.#voxel.map((at, axis) => at + step[axis]!);
    if (to.every((at, axis) => at >= 0 && at < this.#brain.shape[axis]!)) await this.#toVoxel(to as unknown as Place);
  }

  async #print(): Promise<void> {
    const viewer = await this.#viewer;
    if (viewer) this.#printed.src = viewer.picture(kPaper);
  }

  #drawScale(low: number, high: number): void {
    const bar = h('span', { class: this.#chosen.show === 'gain' ? 'bar gains' : 'bar viridis' });
    const digits = this.#chosen.show === 'layer' ? 0 : 3;
    this.#scale.replaceChildren(decimals(low, digits), bar, decimals(high, digits));
  }

  #saves(): HTMLElement {
    const button = (kind: string, save: () => Promise<Blob> | Blob, ending: string) =>
      h(
        'button',
        {
          type: 'button',
          'aria-label': `Save ${kTitle} as ${kind}`,
          click: async () => download(`brain.${ending}`, await save()),
        },
        kind,
      );
    const volume = () => {
      const values = Float32Array.from(this.#places, (place) => this.#map?.values[place] ?? Number.NaN);
      return new Blob([this.#file(values, this.#map?.title ?? '')]);
    };
    const png = async () => {
      const picture = (await this.#viewer)?.picture().split(',')[1] ?? '';
      return new Blob([Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0))], { type: 'image/png' });
    };
    return h(
      'div',
      { class: 'controls save screen', role: 'group', 'aria-label': `Save ${kTitle}` },
      button('NIfTI', volume, 'nii'),
      button('PNG', png, 'png'),
      button('CSV', () => csvBlob(this.#map?.rows ?? []), 'csv'),
    );
  }
}
