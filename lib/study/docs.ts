/** The keys of a study file as tables for docs/study.md, made of its JSON Schema. */
import { type JsonSchema, studyJsonSchema } from './json-schema.js';

/** One table a section. */
export function studyKeyTables(): string {
  const schema = studyJsonSchema();
  const properties = schema.properties as Record<string, JsonSchema>;
  const parts = [`### The study\n\n${keyTable(schema)}`];
  for (const [name, part] of Object.entries({ ...properties, ...schema.$defs }))
    for (const section of sectionsOf(part)) parts.push(`### ${titleOf(name, section)}\n\n${keyTable(section)}`);
  return `${parts.join('\n\n')}\n`;
}

/** The mappings that may stand for a key. Methods that tune nothing have no keys worth a table. */
function sectionsOf(schema: JsonSchema): JsonSchema[] {
  const forms = (schema.anyOf as JsonSchema[] | undefined) ?? [schema];
  return forms.filter(({ properties }) => properties && Object.keys(properties).length > 2);
}

function titleOf(name: string, { properties }: JsonSchema): string {
  const method = (properties!.method as JsonSchema | undefined)?.const;
  if (method !== undefined) return `The method \`${method}\``;
  if (name === 'data_set') return 'A data set of `data`';
  if (name === 'task') return 'A task of `tasks`';
  if (name === 'control') return properties!.file ? 'A control from a file' : 'A control of `controls`';
  return `\`${name}\``;
}

function keyTable({ properties, required = [] }: JsonSchema): string {
  const rows = Object.entries(properties as Record<string, JsonSchema>).map(([key, schema]) => {
    const otherwise = required.includes(key) ? '(must be given)' : defaultText(schema.default);
    return `| \`${key}\` | ${cell(valueText(schema))} | ${cell(otherwise)} | ${cell(schema.description ?? '')} |`;
  });
  return ['| key | value | default | |', '|---|---|---|---|', ...rows].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function defaultText(value: unknown): string {
  if (value === undefined || JSON.stringify(value) === '{}') return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** What may stand there, in words. */
function valueText(schema: JsonSchema): string {
  if (schema.$ref !== undefined) return 'text or a mapping';
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  const list = (schema.anyOf as JsonSchema[] | undefined)?.find(({ type }) => type === 'array');
  const one = (schema.anyOf as JsonSchema[] | undefined)?.find(({ type }) => type !== 'array');
  if (list && one && JSON.stringify(list.items) === JSON.stringify(one)) return `${valueText(one)}; or a list`;
  if (schema.anyOf) return [...new Set((schema.anyOf as JsonSchema[]).map(valueText))].join(', or ');
  if (schema.type === 'array') return `list of ${valueText(schema.items as JsonSchema)}`;
  if (schema.type === 'integer' || schema.type === 'number') return numberText(schema);
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.type === 'object') return 'mapping';
  return schema.type === 'string' ? 'text' : '';
}

function numberText({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  const from =
    minimum !== undefined ? ` from ${minimum}` : exclusiveMinimum !== undefined ? ` above ${exclusiveMinimum}` : '';
  const to =
    maximum !== undefined ? ` to ${maximum}` : exclusiveMaximum !== undefined ? ` below ${exclusiveMaximum}` : '';
  const large = Number(maximum ?? 0) >= 1_000_000;
  return `${type === 'integer' ? 'integer' : 'number'}${from}${large ? '' : to}`;
}
