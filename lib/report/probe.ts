/** What was looked into: learning curves of tasks, variables decoded, heads ablated, attention maps, maps of states. Pictures are of lib/probe. */
import { mean } from '../numbers.js';
import { ablationSvg, decodedSvg } from '../probe/pictures.js';
import { attentionSvg, headMapSvg, scatterSvg } from '../probe/svg.js';
import type { Probed } from '../study/probe.js';
import type { Results } from '../study/results.js';
import { decimals } from './decimals.js';
import { type Html, html, Html as Markup } from './html.js';

/** Heads that are drawn large: those that are missed most. */
const kLarge = 2;
/** Variables that a map of states is coloured by. */
const kColours = 4;

const picture = (svg: string) =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="Picture">${new Markup(svg)}</div>`;

/** Nothing where no run was looked into. */
export function probeSection({ runs }: Pick<Results, 'runs'>): Html | null {
  const probed = runs.flatMap(({ title, probe }) => (probe ? [{ title, probe }] : []));
  if (probed.length === 0) return null;
  return html`<section aria-labelledby="probe-title"><h2 id="probe-title">Inside the models</h2>
    <p class="quiet">On test items of ${[...new Set(probed.map(({ probe }) => probe.task))].join(', ')}. Layers of states count from 0, the embedding; blocks from 0.</p>
    ${probed.map(
      ({ title, probe }, i) => html`<details ${i === 0 ? new Markup('open') : ''}><summary>${title}</summary>
      ${decodedPart(probe)}${ablatedPart(probe)}${attentionPart(probe)}${mapPart(probe)}</details>`,
    )}</section>`;
}

function decodedPart({ decode }: Probed): Html | null {
  if (!decode) return null;
  const rows = decode.variables.map(({ name, kind, scores }) => {
    const best = scores.reduce((a, b) => (b.mean > a.mean ? b : a));
    const shuffled = scores.map((score) => score.shuffled);
    return html`<tr><th scope="row">${name}</th><td>${kind === 'classes' ? 'balanced accuracy' : 'r'}</td>
      ${[best.mean, best.deviation, mean(shuffled), Math.max(...shuffled)].map((value) => html`<td>${decimals(value)}</td>`)}
      <td>${best.layer}</td><td>${decode.tokens[best.position]}</td></tr>`;
  });
  return html`<h3>Variables read from hidden states</h3>
    <p class="quiet">${decode.items} items, ridge regression, mean over 5 folds at each token and layer. Shuffled: the same with shuffled labels, mean and highest over all places.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Decoded variables"><table>
    <thead><tr>${['variable', 'score', 'best', 'SD', 'shuffled', 'highest', 'layer', 'token'].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows}</tbody></table></div>
    ${decode.variables.map(({ name }) => picture(decodedSvg(decode, name)))}`;
}

function ablatedPart({ ablate }: Probed): Html | null {
  if (!ablate || ablate.parts === 'pairs') return null;
  return html`<h3>Without each ${ablate.parts === 'heads' ? 'head' : 'layer'}</h3>
    <p class="quiet">Intact: accuracy ${decimals(ablate.intact.accuracy)}, loss ${decimals(ablate.intact.loss)}.</p>
    ${(['accuracy', 'loss'] as const).map((score) => (ablate.ablated.some((each) => each[score] !== ablate.intact[score]) ? picture(ablationSvg(ablate, score)) : html`<p class="quiet">The ${score} stays the same without any one of them.</p>`))}`;
}

function attentionPart({ attention, ablate }: Probed): Html | null {
  if (!attention) return null;
  const maps = {
    ...attention,
    weights: Float32Array.from(attention.weights),
    title: `Attention, mean of ${attention.texts.length} items`,
  };
  const missed = ablate?.parts === 'heads' ? [...ablate.ablated].sort((a, b) => b.loss - a.loss) : [];
  const large = missed.slice(0, kLarge).map(({ layer, head }) => headMapSvg(maps, layer, head!));
  return html`<h3>Attention</h3>${large.length > 0 ? html`<p class="quiet">Large: the heads that are missed most.</p>` : null}
    ${large.map(picture)}${picture(attentionSvg(maps))}`;
}

function mapPart({ map }: Probed): Html | null {
  if (!map) return null;
  const names = [...new Set(map.variables.flatMap((one) => Object.keys(one)))].filter(
    (name) => new Set(map.variables.map((one) => one[name])).size > 1,
  );
  return html`<h3>Map of states</h3>
    <p class="quiet">UMAP of the last token's state at layer ${map.layer}, ${map.neighbors} neighbours, seed ${map.seed}. Distances between far groups mean little.</p>
    ${names
      .slice(0, kColours)
      .map((name) =>
        picture(
          scatterSvg({ title: name, points: map.points, values: map.variables.map((one) => one[name] ?? '-'), name }),
        ),
      )}`;
}
