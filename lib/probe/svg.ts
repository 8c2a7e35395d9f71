/** Pictures of what was looked into, as SVG that opens by itself: heat maps with labels, attention maps of all heads, points coloured by a variable. */

const kFont = 'font-family="system-ui, sans-serif"';
/** Okabe & Ito's colours, told apart by people with any colour vision. */
const kClasses = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442', '#000000'];

const escaped = (text: string) =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!);

function svg(width: number, height: number, title: string, body: string[]): string {
  const size = `width="${Math.ceil(width)}" height="${Math.ceil(height)}" viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${escaped(title)}" ${kFont} font-size="11">
<title>${escaped(title)}</title><rect width="100%" height="100%" fill="#fff"/>
${body.join('\n')}
</svg>
`;
}

const channel = (a: number, b: number, share: number) => Math.round(a + (b - a) * share);
type Rgb = readonly [number, number, number];
const mix = (a: Rgb, b: Rgb, share: number) => `rgb(${a.map((value, i) => channel(value, b[i]!, share)).join(',')})`;

/** White to dark blue from `low` to `high`; with `middle`, orange below it and blue above. */
function colour(value: number, { low, high, middle }: Scale): string {
  if (!Number.isFinite(value)) return '#ddd';
  const within = (share: number) => Math.min(1, Math.max(0, share));
  if (middle === undefined) return mix([247, 251, 255], [8, 48, 107], within((value - low) / (high - low || 1)));
  const reach = Math.max(high - middle, middle - low) || 1;
  const share = within(Math.abs(value - middle) / reach);
  return mix([250, 250, 250], value < middle ? [179, 88, 6] : [8, 81, 156], share);
}

export interface Scale {
  low: number;
  high: number;
  /** Colours diverge from here. */
  middle?: number | undefined;
}

/** The range of values, and of `middle` where it is given. */
export function scaleOf(values: readonly number[], middle?: number): Scale {
  const finite = values.filter(Number.isFinite);
  const all = middle === undefined ? finite : [...finite, middle];
  return { low: Math.min(...all), high: Math.max(...all), middle };
}

export interface HeatMap {
  title: string;
  rows: readonly string[];
  columns: readonly string[];
  rowName: string;
  columnName: string;
  /** [rows][columns] */
  values: readonly (readonly number[])[];
  scale: Scale;
  unit: string;
}

const decimals = (value: number) => (Number.isFinite(value) ? value.toFixed(Math.abs(value) >= 100 ? 0 : 3) : '-');
const widest = (labels: readonly string[]) => Math.max(0, ...labels.map((label) => label.length)) * 6.6;

function key(x: number, y: number, scale: Scale, unit: string): string[] {
  const steps = Array.from({ length: 40 }, (_, i) => scale.low + ((scale.high - scale.low) * i) / 39);
  return [
    ...steps.map(
      (value, i) => `<rect x="${x + 3 * i}" y="${y}" width="3.5" height="9" fill="${colour(value, scale)}"/>`,
    ),
    `<text x="${x}" y="${y + 21}">${decimals(scale.low)}</text>`,
    `<text x="${x + 120}" y="${y + 21}" text-anchor="end">${decimals(scale.high)}</text>`,
    `<text x="${x + 128}" y="${y + 8}">${escaped(unit)}</text>`,
  ];
}

/** Coloured cells with the value of each as a tooltip; column labels are turned where they are long. */
export function heatMapSvg(map: HeatMap, cell = 22): string {
  const { title, rows, columns, values, scale } = map;
  const turned = widest(columns) > cell;
  const [left, top] = [24 + widest(rows), 34 + (turned ? Math.min(120, widest(columns)) : 14)];
  const [width, height] = [left + columns.length * cell + 16, top + rows.length * cell];
  const columnText = (label: string, c: number) => {
    const x = left + (c + 0.5) * cell;
    return turned
      ? `<text transform="translate(${x + 4},${top - 5}) rotate(-60)">${escaped(label)}</text>`
      : `<text x="${x}" y="${top - 5}" text-anchor="middle">${escaped(label)}</text>`;
  };
  const body = [
    `<text x="8" y="16" font-size="13" font-weight="600">${escaped(title)}</text>`,
    `<text transform="translate(12,${(top + height) / 2}) rotate(-90)" text-anchor="middle">${escaped(map.rowName)}</text>`,
    ...columns.map(columnText),
    ...rows.map(
      (label, r) =>
        `<text x="${left - 5}" y="${top + (r + 0.5) * cell + 4}" text-anchor="end">${escaped(label)}</text>`,
    ),
    ...values.flatMap((row, r) =>
      row.map((value, c) => {
        const place = `x="${left + c * cell}" y="${top + r * cell}" width="${cell - 1}" height="${cell - 1}"`;
        const said = `${map.rowName} ${rows[r]}, ${map.columnName} ${columns[c]}: ${decimals(value)}`;
        return `<rect ${place} fill="${colour(value, scale)}"><title>${escaped(said)}</title></rect>`;
      }),
    ),
    `<text x="${left + (columns.length * cell) / 2}" y="${height + 14}" text-anchor="middle">${escaped(map.columnName)}</text>`,
    ...key(left, height + 22, scale, map.unit),
  ];
  return svg(Math.max(width, left + 260, title.length * 7.4 + 16), height + 52, title, body);
}

export interface HeadMaps {
  title: string;
  tokens: readonly string[];
  layers: number;
  heads: number;
  /** [L, H, T, T] */
  weights: Float32Array;
}

const at = ({ weights, heads, tokens }: HeadMaps, layer: number, head: number, from: number, to: number) =>
  weights[((layer * heads + head) * tokens.length + from) * tokens.length + to]!;

/** The map of one head: rows look, columns are looked at. */
export function headMapSvg(maps: HeadMaps, layer: number, head: number): string {
  const { tokens } = maps;
  const labels = tokens.map((token) => token.replaceAll(' ', '\u00b7'));
  const values = labels.map((_, from) => labels.map((__, to) => at(maps, layer, head, from, to)));
  return heatMapSvg(
    {
      title: `${maps.title}, layer ${layer}, head ${head}`,
      ...{ rows: labels, columns: labels, rowName: 'from', columnName: 'to', values },
      ...{ scale: { low: 0, high: 1 }, unit: 'attention' },
    },
    15,
  );
}

/** Least weights that are drawn alike. */
const kLevels = [0.08, 0.2, 0.4, 0.6, 0.8];

/** All heads beside each other, small: rows layers, columns heads. Weights below 0.08 are left white. */
export function attentionSvg(maps: HeadMaps): string {
  const { tokens, layers, heads } = maps;
  const count = tokens.length;
  const dot = Math.max(1, Math.floor(64 / count));
  const [size, left, top] = [dot * count + 6, 44, 64];
  const body = [`<text x="8" y="16" font-size="13" font-weight="600">${escaped(maps.title)}</text>`];
  for (let head = 0; head < heads; head++)
    body.push(`<text x="${left + head * size + size / 2 - 3}" y="${top - 8}" text-anchor="middle">${head}</text>`);
  for (let layer = 0; layer < layers; layer++) {
    body.push(`<text x="${left - 8}" y="${top + layer * size + size / 2}" text-anchor="end">${layer}</text>`);
    for (let head = 0; head < heads; head++) {
      const [x, y] = [left + head * size, top + layer * size];
      body.push(`<g><title>layer ${layer}, head ${head}</title>`);
      body.push(
        `<rect x="${x}" y="${y}" width="${dot * count}" height="${dot * count}" fill="#f7fbff" stroke="#ccc" stroke-width="0.5"/>`,
      );
      // One path for each level of weight: a rectangle a cell would make files of many megabytes.
      for (const [i, level] of kLevels.entries()) {
        const cells: string[] = [];
        for (let from = 0; from < count; from++)
          for (let to = 0; to < count; to++) {
            const value = at(maps, layer, head, from, to);
            if (value < level || value >= (kLevels[i + 1] ?? 2)) continue;
            cells.push(`M${x + to * dot} ${y + from * dot}h${dot}v${dot}h-${dot}`);
          }
        if (cells.length > 0) body.push(`<path fill="${colour(level, { low: 0, high: 1 })}" d="${cells.join('')}"/>`);
      }
      body.push('</g>');
    }
  }
  body.push(
    `<text x="8" y="${top - 28}">rows layers, columns heads; in each, down: from, across: to (${count} tokens)</text>`,
  );
  return svg(Math.max(left + heads * size + 10, 420), top + layers * size + 10, maps.title, body);
}

export interface Scatter {
  title: string;
  points: readonly (readonly [number, number])[];
  /** Of each point. */
  values: readonly (string | number)[];
  name: string;
}

/** Numbers of at most so many values are codes, as of wordings: they are coloured as classes. */
const kCodes = 5;

/** Points coloured by a variable: classes by colours of their own, numbers from orange through white to blue. */
export function scatterSvg({ title, points, values, name }: Scatter, size = 320): string {
  const [left, top] = [12, 30];
  const range = (axis: 0 | 1) => scaleOf(points.map((point) => point[axis]));
  const [x, y] = [range(0), range(1)];
  const place = (value: number, { low, high }: Scale) => 8 + ((value - low) / (high - low || 1)) * (size - 16);
  const numbers = values.every((value) => typeof value === 'number') && new Set(values).size > kCodes;
  const scale = numbers ? scaleOf(values as number[], 0) : undefined;
  const classes = [...new Set(values)]
    .sort((a, b) => Number(a) - Number(b) || String(a).localeCompare(String(b), 'en', { numeric: true }))
    .map(String);
  const fill = (value: string | number) =>
    scale ? colour(value as number, scale) : kClasses[classes.indexOf(String(value)) % kClasses.length]!;
  const legend = scale
    ? key(left, top + size + 8, scale, name)
    : classes.map(
        (label, i) =>
          `<circle cx="${left + 6 + (i % 4) * 84}" cy="${top + size + 14 + 16 * Math.floor(i / 4)}" r="4" fill="${fill(label)}"/><text x="${left + 14 + (i % 4) * 84}" y="${top + size + 18 + 16 * Math.floor(i / 4)}">${escaped(label)}</text>`,
      );
  const body = [
    `<text x="8" y="16" font-size="13" font-weight="600">${escaped(title)}</text>`,
    `<rect x="${left}" y="${top}" width="${size}" height="${size}" fill="#fafafa" stroke="#ccc"/>`,
    ...points.map(
      (point, i) =>
        `<circle cx="${(left + place(point[0], x)).toFixed(1)}" cy="${(top + place(point[1], y)).toFixed(1)}" r="3.5" fill="${fill(values[i]!)}" stroke="#333" stroke-width="0.4"><title>${escaped(`${name} ${values[i]}`)}</title></circle>`,
    ),
    ...legend,
  ];
  return svg(
    Math.max(size + 24, title.length * 7.4 + 16),
    top + size + 30 + 16 * Math.ceil(classes.length / 4),
    title,
    body,
  );
}
