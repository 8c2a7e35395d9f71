/** Figures saved as they are seen: SVG and PNG with the page's colours in them, and their numbers as CSV. Nothing leaves the page. */
import { h } from './dom.js';
import type { Figure } from './frame.js';

const kSvg = 'http://www.w3.org/2000/svg';
const kLine = 20;
const kPad = 12;

/** Buttons that save the figure that `now` gives. */
export function saveButtons(name: string, title: string, now: () => Figure | undefined): HTMLElement {
  const button = (kind: string, save: (figure: Figure) => void) =>
    h(
      'button',
      {
        type: 'button',
        'aria-label': `Save ${title} as ${kind}`,
        click: () => {
          const figure = now();
          if (figure?.svg) save(figure);
        },
      },
      kind,
    );
  return h(
    'div',
    { class: 'controls save screen', role: 'group', 'aria-label': `Save ${title}` },
    button('SVG', (figure) => download(`${name}.svg`, new Blob([svgText(figure, title)], { type: 'image/svg+xml' }))),
    button('PNG', (figure) => png(svgText(figure, title), (blob) => download(`${name}.png`, blob))),
    button('CSV', (figure) => download(`${name}.csv`, csvBlob(figure.rows ?? []))),
  );
}

/** Rows as CSV by RFC 4180; what a spreadsheet would take for a formula is kept from being one. */
export function csvBlob(rows: Iterable<Record<string, unknown>>): Blob {
  const lines: string[] = [];
  for (const row of rows) {
    if (lines.length === 0) lines.push(`${Object.keys(row).map(cell).join(',')}\n`);
    lines.push(`${Object.values(row).map(cell).join(',')}\n`);
  }
  return new Blob(lines, { type: 'text/csv' });
}

function cell(value: unknown): string {
  if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return '';
  if (typeof value === 'number') return String(Number(value.toPrecision(6)));
  const text = String(value);
  const safe = /^[=@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function element(
  name: string,
  attributes: Record<string, string | number>,
  ...children: (Node | string)[]
): SVGElement {
  const made = document.createElementNS(kSvg, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

/** Title, figure, colour scale and the names of its lines in one picture that needs no style sheet. */
function svgText({ svg, key, lines = [] }: Figure, title: string): string {
  const [width, height] = [Number(svg!.getAttribute('width')), Number(svg!.getAttribute('height'))];
  const parts: SVGElement[] = [element('text', { x: kPad, y: 22, 'font-size': 15, 'font-weight': 600 }, title)];
  let y = 34;
  const add = (part: Element, size: number) => {
    const copy = part.cloneNode(true) as SVGElement;
    copy.setAttribute('x', '0');
    copy.setAttribute('y', String(y));
    for (const tip of copy.querySelectorAll('[aria-label="tip"]')) tip.remove();
    parts.push(copy);
    y += size;
  };
  add(svg!, height);
  if (key instanceof SVGElement) add(key, Number(key.getAttribute('height')) + 4);
  for (const { title: name, color, dash } of lines) {
    const stroke = { stroke: color, 'stroke-width': 2.5, 'stroke-dasharray': dash };
    parts.push(element('line', { x1: kPad, x2: kPad + 24, y1: y + 8, y2: y + 8, ...stroke }));
    parts.push(element('text', { x: kPad + 32, y: y + 12, 'font-size': 12 }, name));
    y += kLine;
  }
  const total = y + kPad;
  const look = getComputedStyle(document.documentElement);
  const whole = element(
    'svg',
    {
      xmlns: kSvg,
      width,
      height: total,
      viewBox: `0 0 ${width} ${total}`,
      'font-family': 'system-ui, sans-serif',
      fill: 'var(--text)',
      color: 'var(--text)',
    },
    element('rect', { width: '100%', height: '100%', fill: 'var(--panel)' }),
    ...parts,
  );
  const text = new XMLSerializer().serializeToString(whole);
  return text.replace(/var\((--[a-z0-9-]+)\)/g, (all, name: string) => look.getPropertyValue(name).trim() || all);
}

/** The picture at twice its size. */
function png(text: string, done: (blob: Blob) => void): void {
  const image = new Image();
  image.addEventListener('load', () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => blob && done(blob), 'image/png');
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}
