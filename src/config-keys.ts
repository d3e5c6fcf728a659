import {z} from 'zod';
import {runSchema} from './config.js';

/** One node of the configuration's schema, in JSON Schema's words. */
export interface KeySchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly required?: readonly string[];
  readonly items?: KeySchema;
  readonly enum?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

export const configKeys = z.toJSONSchema(runSchema, {io: 'input'}) as KeySchema;

/**
The known key nearest to one that is not known: one with the same name elsewhere, else the likeliest misspelling of a neighbour.

@param path - Where the unknown key stands, without it.
@returns the whole key, such as `optimizer.learningRate`, or undefined when none is near.
*/
export function nearestKey(path: readonly PropertyKey[], key: string): string | undefined {
  const near = nearest(key, keysAt(path));
  if (near !== undefined) return writePath([...path, near]);
  const elsewhere = allKeys(configKeys).filter((known) => known.split('.').at(-1) === key);
  return elsewhere.find((known) => !known.includes('[]')) ?? elsewhere[0];
}

/** The keys that may stand at a place of the configuration. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

/** `agents[0].model`, as a reader of the file would say it. */
export function writePath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part)),
    '',
  );
}

/** The candidate with the fewest changed letters, when they are few for its length. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const scored = candidates
    .map((candidate) => ({candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase())}))
    .sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  return best && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

function schemaAt(path: readonly PropertyKey[]): KeySchema | undefined {
  return path.reduce<KeySchema | undefined>(
    (schema, part) => (typeof part === 'number' ? schema?.items : schema?.properties?.[String(part)]),
    configKeys,
  );
}

function allKeys(schema: KeySchema, prefix = ''): string[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, child]) => [
    `${prefix}${name}`,
    ...allKeys(child, `${prefix}${name}.`),
  ]);
  return schema.items ? [...below, ...allKeys(schema.items, `${prefix.slice(0, -1)}[].`)] : below;
}

/** Insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({length: b.length + 1}, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1] as number[];
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      const best = Math.min((above[j] as number) + 1, (row[j - 1] as number) + 1, (above[j - 1] as number) + change);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(isSwap ? Math.min(best, ((rows[i - 2] as number[])[j - 2] as number) + 1) : best);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] as number;
}
