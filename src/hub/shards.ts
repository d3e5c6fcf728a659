import {readFile} from 'node:fs/promises';
import {IlrError} from '../errors.js';
import type {HubFile} from './listing.js';
import type {Target} from './target.js';

const indexName = 'model.safetensors.index.json';

/** An index without one of its shards is no model. */
export async function requireShards(
  chosen: readonly HubFile[],
  missing: readonly HubFile[],
  target: Target,
): Promise<void> {
  const index = chosen.find(({path}) => path === indexName);
  if (index === undefined || !chosen.some(({path}) => path === 'config.json')) return;
  const text = await readFile(missing.includes(index) ? target.part(index) : target.place(indexName), 'utf8');
  for (const shard of shardsOf(text))
    if (!chosen.some(({path}) => path === shard))
      throw new IlrError(
        'ILR_IO',
        `${indexName} names ${JSON.stringify(shard)}, which is not among the files taken; --include <glob> takes further ones`,
      );
}

function shardsOf(text: string): Set<unknown> {
  try {
    return new Set(Object.values(JSON.parse(text).weight_map));
  } catch (cause) {
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${indexName}: expected JSON with a weight_map, got: ${(cause as Error).message}`,
      {cause},
    );
  }
}
