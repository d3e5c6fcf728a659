import {IlrError} from '../errors.js';
import type {PartScore, Question, RewardContext, RewardInput, ScoreFunction} from '../types.js';
import {partScore} from './call.js';
import {type Attempts, postJson} from './post-json.js';

export interface RemoteOptions extends Partial<Attempts> {
  /** The environment variable with the secret; sent as `Authorization: Bearer …`. */
  readonly secretEnv?: string;
  /** Another header for the secret, which then stands there as it is. */
  readonly secretHeader?: string;
  /** Requests at once; 8 when left out. */
  readonly concurrency?: number;
}

/**
Grades by a server: `POST {"inputs": [{question, text, finishReason, tokens, stage}]}` with a group's completions, which answers
`{"grades": […]}`, one for each in order: a number, `{isCorrect, isWellFormed, reward?, answer?}`, `null`, or `{"error": reason}`. As a
whole reward (not a part) numbers will not do.

@throws IlrError `ILR_INVALID_CONFIG` for an address or a secret that will not do.
*/
export function remoteReward(address: string, options: RemoteOptions = {}, env = process.env): ScoreFunction {
  const url = parseAddress(address);
  const headers = secretHeaders(url, options, env);
  const turn = limiter(options.concurrency ?? 8);
  const {timeoutMs = 30_000, retries = 3, backoffMs = 1000} = options;
  const batch = (inputs: readonly RewardInput[], context?: RewardContext): Promise<(PartScore | Error)[]> =>
    turn(async () => {
      const body = JSON.stringify({inputs: inputs.map(written)});
      const maxBytes = 65_536 + 16_384 * inputs.length;
      const request = {url, headers, body, maxBytes, signal: context?.signal};
      return gradesIn(await postJson(request, {timeoutMs, retries, backoffMs}), inputs.length);
    });
  return Object.assign(
    async (input: RewardInput, context?: RewardContext) => {
      const [score] = await batch([input], context);
      if (score instanceof Error) throw score;
      return score as PartScore;
    },
    {batch, keepsTime: true},
  );
}

/** Whether a function of a configuration is an address. */
export function isAddress(spec: string): boolean {
  return /^https?:\/\//i.test(spec);
}

interface WrittenInput {
  readonly question: Question;
  readonly text: string;
  readonly finishReason: string;
  readonly tokens: number;
  readonly stage?: string;
}

function written({question, text, completion, stage}: RewardInput): WrittenInput {
  return {question, text, finishReason: completion.finishReason, tokens: completion.ids.length, stage};
}

function gradesIn(answer: unknown, count: number): (PartScore | Error)[] {
  const grades = (answer as {grades?: unknown} | null)?.grades;
  if (!Array.isArray(grades) || grades.length !== count) {
    const got = Array.isArray(grades) ? `${grades.length} grades` : 'none';
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `Expected the server to answer {"grades": […]} with ${count}, got ${got}.`,
    );
  }
  return grades.map((grade: unknown) => {
    const reason = (grade as {error?: unknown} | null)?.error;
    if (typeof reason === 'string') return new Error(`the server says: ${reason}`);
    return partScore.is(grade) ? grade : new Error(`Expected ${partScore.words} from the server, got something else.`);
  });
}

function parseAddress(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url;
  throw new IlrError(
    'ILR_INVALID_CONFIG',
    'Expected the address of a reward server to be http://… or https://… without a name or password in it; ' +
      'name the variable that holds a secret in remote.secretEnv.',
  );
}

function secretHeaders(url: URL, options: RemoteOptions, env: NodeJS.ProcessEnv): Record<string, string> {
  const {secretEnv, secretHeader} = options;
  if (secretEnv === undefined) return {};
  const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !isLocal) {
    throw new IlrError(
      'ILR_INVALID_CONFIG',
      `Expected https:// for ${url.host}, to which remote.secretEnv sends a secret, got http://.`,
    );
  }
  const secret = env[secretEnv];
  // Of what is wrong with a secret, nothing of it may be said.
  if (secret === undefined || !/^[\x21-\x7e]+$/.test(secret)) {
    throw new IlrError(
      'ILR_INVALID_CONFIG',
      `Expected the environment variable ${secretEnv} (remote.secretEnv) to hold a secret of printable ASCII without blanks, ` +
        `got ${secret === undefined ? 'none' : 'another text'}.`,
    );
  }
  return secretHeader === undefined ? {authorization: `Bearer ${secret}`} : {[secretHeader]: secret};
}

/** At most so many at work at once; the others wait their turn. */
function limiter(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= most) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
