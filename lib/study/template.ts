/** A new study as commented YAML. */
import { stringify } from 'yaml';
import { methodOf } from '../tune/methods.js';
import { rateText } from './plan.js';

/** What a new study asks for; what is not given is the template's. */
export interface NewStudy {
  name: string;
  data: string;
  models: string[];
  /** `untrained`, `untuned`, tuning methods. */
  methods: string[];
  /** Of every tuning method; each has a default of its own. */
  lr?: number[] | undefined;
  /** Of methods that have one. */
  rank?: number[] | undefined;
  seeds: number[];
  steps: number;
  controls: string[];
  /** Permutations of each p-value; 0 for no tests. */
  permutations: number;
}

/** The template's answers. */
export const kNewStudy: Omit<NewStudy, 'name'> = {
  data: 'simulated',
  models: ['smollm2-135m'],
  methods: ['untrained', 'untuned', 'lora'],
  seeds: [0],
  steps: 50,
  controls: ['word_rate', 'position', 'oasm'],
  permutations: 0,
};

/** A value on one line of YAML. */
function line(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trimEnd();
}

function methodLine(name: string, { lr, rank }: NewStudy): string {
  if (name === 'untrained') return '  - untrained # control: random weights of the same shape';
  if (name === 'untuned') return '  - untuned # the model as it was published';
  const method = methodOf(name);
  const rates = (lr ?? [method.lr]).map(rateText).join(', ');
  const ranks = rank ?? [method.options.rank?.parse(undefined) as number];
  const ranked = method.options.rank ? `, rank: [${ranks.join(', ')}]` : '';
  return `  - {method: ${line(name)}, lr: [${rates}]${ranked}} # ${method.title}`;
}

/** The text of the study; `schema` is where its JSON Schema lies. */
export function studyText(study: NewStudy, schema: string): string {
  const { name, data, models, methods, seeds, steps, controls, permutations } = study;
  const tested = permutations > 0;
  return `# yaml-language-server: $schema=${schema}
# A study: which models, tuned how, predict which responses. Every key: docs/study.md. See what it comes to, then run it:
#
#   cortune run THIS-FILE --dry-run
#   cortune run THIS-FILE
name: ${line(name)}

# A known data set, a dataset.yaml or its folder, or \`simulated\` (a check of the instrument, no brain). A list is several data sets.
data: ${line(data)}

# Short names, Hub ids (org/name), folders or GGUF files; \`untrained:NAME\` for random weights.
models: ${line(models)}

# A list of rates or ranks is a grid: every combination is a run. \`cortune methods\` lists the methods and their options.
methods:
${methods.map((each) => methodLine(each, study)).join('\n')}

# Draw fresh adapters, the order of the text, and random weights.
seeds: ${line(seeds)}

# Tuned runs learn the texts of the stimuli; \`tasks\` names files to learn from and to be tested on.
tune:
  steps: ${steps}
  batch: 4 # sequences in a pass
  block: 64 # tokens in a sequence
  schedule: linear
  warmup: ${Math.min(3, steps - 1)}

# Five stretches are held out in turn; rows at the ends of a stretch are not scored, as the responses there are in part those of the
# stretch before. Shuffled folds would inflate the scores of slow signals.
encode:
  folds: contiguous:5
  trim: 5

# What predicts the responses without any model.
controls: ${line(controls)}

# ${tested ? 'Are the scores better than chance, given that neighbouring rows are alike? p-values and intervals.' : 'Remove the marks for p-values and intervals (they take time):'}
${tested ? '' : '# '}stats: {permutations: ${tested ? permutations : 1000}, exchange: "block:10", resamples: ${tested ? permutations : 1000}}
`;
}
