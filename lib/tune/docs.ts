/** What docs/methods.md says of each method that the table of methods knows: paper, files, counts, options. */
import { configFromJson } from '../model/config.js';
import { baseOfDescription, kMethods, type Method, optionsOf, planOf } from './methods.js';

/** The shape of SmolLM2-135M, on which parameters are counted. */
const kExample = {
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
};

/** A block of docs/methods.md: between these comments. */
const kBlock = /(<!-- method ([a-z0-9-]+) -->\n)[\s\S]*?(<!-- \/method -->)/g;

/** The page with every block as the table of methods has it. Throws a RangeError for a block of no method. */
export function methodPage(page: string): string {
  return page.replace(kBlock, (_, before: string, name: string, after: string) => {
    const method = kMethods.find((each) => each.name === name);
    if (!method) throw new RangeError(`Expected blocks of methods in docs/methods.md, got \`${name}\`.`);
    return `${before}${methodBlock(method)}\n${after}`;
  });
}

/** Methods without a block in the page. */
export function methodsLeftOut(page: string): string[] {
  const there = [...page.matchAll(kBlock)].map(([, , name]) => name);
  return kMethods.map(({ name }) => name).filter((name) => !there.includes(name));
}

function methodBlock(method: Method): string {
  const { title, paper, peft, stackable, lr } = method;
  const files = peft ? `a PEFT adapter (\`${peft.type}\`)` : 'a model';
  const lanes = stackable ? 'many runs in one pass' : 'runs one after the other';
  const facts = [
    `*${title}*${paper ? ` (${paper.replaceAll(/arXiv:(\d+\.\d+)/g, '[arXiv:$1](https://arxiv.org/abs/$1)')})` : ''}.`,
    `Saved as ${files}; ${lanes}; learning rate by default ${lr}; ${trained(method)}.`,
  ];
  const rows = optionsOf(method).map(
    (option) => `| \`${option.name}\` | ${shown(option.default)} | ${option.describe.replaceAll('|', '\\|')} |`,
  );
  return [facts.join(' '), '', '| option | default | |', '|---|---|---|', ...rows].join('\n');
}

function trained(method: Method): string {
  const base = baseOfDescription({ name: 'SmolLM2-135M', config: configFromJson(kExample, 'SmolLM2-135M') });
  try {
    const { trainable } = planOf(base, method).plan;
    return `${trainable.toLocaleString('en')} parameters of SmolLM2-135M`;
  } catch {
    return 'none of SmolLM2-135M, which has no such parameters';
  }
}

function shown(value: unknown): string {
  if (value === undefined) return '';
  return `\`${typeof value === 'object' ? JSON.stringify(value) : value}\``;
}
