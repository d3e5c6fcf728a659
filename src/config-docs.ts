import {configKeys} from './config-keys.js';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  /** Where these keys are described. */
  readonly sameAs?: string;
}

const head = `# Configuration

Generated from the schema in \`src/config.ts\` by \`node scripts/config-docs.mjs\`.

A run is one YAML file. What is left out has the default below; keys without one are required unless they are said to be optional. An
unknown key or a value of another type is an error that names file, line and column, what was expected, what came, and the nearest known key.

Paths (\`agents.*.model\`, \`agents.*.tokenizer\`, \`agents.*.adapter.folder\`, \`data.*\`, \`eval.data\`, a reward module) are meant from the folder of the file; \`output\` from where the
command runs. \`--set key=value\` changes a setting from the command line: \`--set optimizer.learningRate=1e-5\`,
\`--set agents.0.model=models/a\`; the value is YAML, and a path in it is meant from where the command runs.

| key | type | default | meaning |
|---|---|---|---|
`;

/** docs/config.md: a row per key. */
export function configDocs(): string {
  return `${head}${rowsOf(configKeys as Schema, '').join('\n')}\n`;
}

function rowsOf(schema: Schema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const key = `${prefix}${name}`;
    if (value.sameAs) return [row(key, `keys of \`${value.sameAs}\``, 'optional', value.description)];
    if (value.properties) return [...groupRow(key, value), ...rowsOf(value, `${key}.`)];
    if (value.items?.properties) {
      const need = schema.required?.includes(name) ? 'required' : 'optional';
      return [row(key, 'list', need, value.description), ...rowsOf(value.items, `${key}.*.`)];
    }
    const fallback =
      value.default === undefined ? (schema.required?.includes(name) ? 'required' : 'optional') : text(value.default);
    return [row(key, typeOf(value), fallback, value.description)];
  });
}

function groupRow(key: string, {description}: Schema): string[] {
  return description === undefined ? [] : [row(key, 'keys', '', description)];
}

function typeOf({type, enum: choices, minimum, exclusiveMinimum, maximum}: Schema): string {
  if (choices) return choices.map((choice) => `\`${choice}\``).join(', ');
  const words: Readonly<Record<string, string>> = {integer: 'whole number', string: 'text', object: 'keys'};
  const bounds = [
    exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`],
    minimum === undefined || minimum < -1e9 ? [] : [`from ${minimum}`],
    maximum === undefined || maximum > 1e9 ? [] : [`to ${maximum}`],
  ].flat();
  return [words[type ?? ''] ?? type ?? 'any', ...bounds].join(' ');
}

function text(value: unknown): string {
  return `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``;
}

function row(key: string, type: string, fallback: string, meaning = ''): string {
  return `| \`${key}\` | ${type} | ${fallback} | ${meaning.replaceAll('|', '\\|')} |`;
}
