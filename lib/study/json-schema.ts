/** The study file as a JSON Schema (draft 2020-12), by which editors complete and check it. */
import { z } from 'zod';
import { formsOf } from '../config.js';
import { studySchema } from './schema.js';
import { control } from './schema-controls.js';
import { method } from './schema-methods.js';
import { dataSet } from './schema-sections.js';
import { task } from './schema-tasks.js';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** Schemas that stand in several places; each is written once. */
const kShared: Record<string, z.core.$ZodType> = { method, control, data_set: dataSet, task };

/** Made of the zod schema that reads studies; schema/study.schema.json is this, printed. */
export function studyJsonSchema(): JsonSchema {
  const { $schema, ...rest } = convert(studySchema);
  const needed = Object.entries(studySchema.shape).filter(([, part]) => !part.safeParse(undefined).success);
  return {
    $schema: $schema!,
    title: 'A study of cortune',
    description: 'Models x methods x rates x ranks x seeds, tuned, embedded and scored against brain responses.',
    ...rest,
    required: needed.map(([key]) => key),
    $defs: Object.fromEntries(Object.entries(kShared).map(([name, schema]) => [name, inner(schema, schema)])),
  };
}

/** `whole` is the shared schema that is written here and not referred to. */
function convert(schema: z.core.$ZodType, whole?: z.core.$ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // zod leaves out defaults that are lists.
      const { def } = zodSchema._zod;
      if (def.type === 'default' && Array.isArray(def.defaultValue)) jsonSchema.default = def.defaultValue;
      const forms = formsOf(zodSchema);
      if (!forms) return;
      const { description, default: otherwise } = jsonSchema;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      const own = {
        ...(description === undefined ? {} : { description }),
        ...(otherwise === undefined ? {} : { default: otherwise }),
      };
      const shared = Object.entries(kShared).find(([, each]) => each._zod.def === zodSchema._zod.def);
      if (shared && shared[1] !== whole) Object.assign(jsonSchema, own, { $ref: `#/$defs/${shared[0]}` });
      else Object.assign(jsonSchema, own, { anyOf: forms.map((form) => inner(form)) });
    },
  }) as JsonSchema;
}

function inner(schema: z.core.$ZodType, whole?: z.core.$ZodType): JsonSchema {
  const { $schema: _, ...rest } = convert(schema, whole);
  return rest;
}
