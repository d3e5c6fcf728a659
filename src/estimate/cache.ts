/** What a generate call asks of its cache, in rows. */
export interface CacheLoad {
  readonly prompts: number;
  readonly samplesPerPrompt: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly slots: number;
  readonly limit: number;
}

/** Of a completion's first run (`native/core/generate.cpp`). */
const firstRows = 256;

/**
Rows of the cache of keys and values, when prompts are computed (`first`) and when every completion is written to its end (`last`): what `CachePool` (`native/core/cache_pool.cpp`) holds after the
same calls, for runs double as completions grow and a run that cannot grow in place is moved.
*/
export function cacheRows(load: CacheLoad): {readonly first: number; readonly last: number} {
  const {promptTokens, newTokens, slots, samplesPerPrompt} = load;
  const pool = new Pool(Math.max(load.limit, blocks(promptTokens) + blocks(newTokens)));
  const begun = Math.min(firstRows, newTokens);
  const regions = Math.ceil(slots / samplesPerPrompt);
  pool.enlarge(Math.min(pool.limit, regions * blocks(promptTokens) + slots * blocks(begun)));
  const start = pool.capacity;
  const full = {first: start, last: pool.limit};
  const runs: Run[] = [];
  for (let slot = 0; slot < slots; slot++) {
    if (slot % samplesPerPrompt === 0 && pool.take(promptTokens) === undefined) return full;
    const run = pool.take(begun);
    if (run === undefined) return full;
    runs.push(run);
  }
  for (let rows = blocks(begun); rows < newTokens; rows = blocks(Math.min(2 * rows, newTokens))) {
    for (const [i, run] of runs.entries()) {
      const longer = pool.extend(run, Math.min(2 * rows, newTokens));
      if (longer === undefined) return full;
      runs[i] = longer;
    }
  }
  return {first: start, last: pool.capacity};
}

interface Run {
  readonly begin: number;
  readonly rows: number;
}

function blocks(rows: number): number {
  return Math.ceil(rows / 64) * 64;
}

class Pool {
  readonly limit: number;
  capacity = 0;
  /** By their first row; neighbours are joined. */
  private free: Run[] = [];

  constructor(limit: number) {
    this.limit = blocks(limit);
  }

  take(wanted: number): Run | undefined {
    const rows = blocks(wanted);
    const fits = () => this.free.findIndex((run) => run.rows >= rows);
    let place = fits();
    if (place < 0) {
      if (!this.grow(rows)) return undefined;
      place = fits();
    }
    const {begin, rows: length} = this.free[place] as Run;
    this.free.splice(place, 1, ...(length > rows ? [{begin: begin + rows, rows: length - rows}] : []));
    return {begin, rows};
  }

  extend(run: Run, wanted: number): Run | undefined {
    const rows = blocks(wanted);
    const [end, more] = [run.begin + run.rows, rows - run.rows];
    if (more <= 0) return run;
    const behind = () => this.free.findIndex(({begin}) => begin === end);
    const next = this.free[behind()];
    if (end === this.capacity || (next && end + next.rows === this.capacity)) this.grow(more);
    const place = behind();
    const found = this.free[place];
    if (found && found.rows >= more) {
      this.free.splice(place, 1, ...(found.rows > more ? [{begin: end + more, rows: found.rows - more}] : []));
      return {begin: run.begin, rows};
    }
    const elsewhere = this.take(rows);
    if (elsewhere) this.give(run);
    return elsewhere;
  }

  enlarge(wanted: number): void {
    const grown = blocks(wanted);
    if (grown <= this.capacity) return;
    const added = {begin: this.capacity, rows: grown - this.capacity};
    this.capacity = grown;
    this.give(added);
  }

  private give(run: Run): void {
    const sorted = [...this.free, run].sort((a, b) => a.begin - b.begin);
    this.free = sorted.reduce<Run[]>((joined, each) => {
      const last = joined.at(-1);
      if (last && last.begin + last.rows === each.begin)
        joined[joined.length - 1] = {begin: last.begin, rows: last.rows + each.rows};
      else joined.push(each);
      return joined;
    }, []);
  }

  /** By half at least. */
  private grow(rows: number): boolean {
    const last = this.free.at(-1);
    const atEnd = last && last.begin + last.rows === this.capacity ? last.rows : 0;
    const needed = this.capacity + Math.max(0, rows - atEnd);
    if (needed > this.limit) return false;
    this.enlarge(Math.min(this.limit, Math.max(needed, blocks(this.capacity + this.capacity / 2))));
    return true;
  }
}
