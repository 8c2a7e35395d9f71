/** What is looked into after tuning: the section `probe` of a study. */
import { z } from 'zod';
import { integer, listOf, oneOf, section, text } from '../config.js';
import { kAblatedParts, kAblations } from '../probe/ablate.js';

const layers = listOf(integer(0, 10_000), 'numbers of layers').optional();

const decode = section('`probe.decode`', {
  variables: listOf(text('a variable'), 'names of variables')
    .optional()
    .describe('By default all that differ between items.'),
  layers: layers.describe('Entries of hidden_states; by default all.'),
  positions: listOf(integer(0, 10_000), 'token positions').optional().describe('By default all.'),
  shuffles: integer(0, 1000).default(5).describe('Shuffles of the labels, for the chance level.'),
});
const ablate = section('`probe.ablate`', {
  parts: oneOf(kAblatedParts).default('heads').describe('What is ablated, one at a time.'),
  kind: oneOf(kAblations).default('zero').describe('Put to zero, or to the mean over the tokens of the prompts.'),
  layers: layers.describe('Blocks, from 0; by default all.'),
  limit: integer(1, 1_000_000).default(50).describe('Items at most, the first ones.'),
});
const attention = section('`probe.attention`', {
  limit: integer(1, 1_000_000).default(100).describe('Items at most, of the most frequent length.'),
});
const map = section('`probe.map`', {
  layer: integer(0, 10_000).optional().describe('Entry of hidden_states; by default the last.'),
  neighbors: integer(2, 1000).default(15).describe('Neighbours that each item keeps near.'),
});

export const probe = section('`probe`', {
  task: text('a name').optional().describe('The task whose test items are read; by default the first with some.'),
  where: z
    .record(z.string(), z.union([z.string(), z.number()]), { error: 'a mapping from variables to values' })
    .optional()
    .describe(
      'Items whose variables have these values, for `decode`, `attention` and `map`: those of one template have positions in common.',
    ),
  decode: decode.optional().describe('Variables of items read from hidden states at every token and layer.'),
  ablate: ablate.optional().describe('Accuracy and loss of items without each head or layer.'),
  attention: attention.optional().describe('Average attention maps of every head.'),
  map: map.optional().describe('UMAP of the state of the last token.'),
  seed: integer(0, 2 ** 31 - 1)
    .default(0)
    .describe('Of shuffles and maps.'),
}).refine((one) => one.decode || one.ablate || one.attention || one.map, {
  error: 'at least one of `decode`, `ablate`, `attention`, `map`',
});
export type ProbeSection = z.output<typeof probe>;
