import {IlrError, messageOf} from '../errors.js';
import type {Completion, GenerateCounters, GenerateRequest, Generation} from '../policy.js';
import type {AddonGenerateCallbacks, AddonPolicy} from './addon-types.js';
import {runCall, toIlrError} from './call.js';

/** One native `generate`: completions wait here, however many, until they are asked for; leaving the loop early aborts the work. */
export class NativeGeneration implements Generation {
  readonly counters: Promise<GenerateCounters>;
  private readonly waiting: Completion[] = [];
  private state: 'running' | 'done' | IlrError = 'running';
  private isIterated = false;
  private wake = () => {};
  private abort = () => {};

  constructor(native: () => AddonPolicy, request: GenerateRequest) {
    this.counters = this.run(native, request);
    this.counters.catch(() => {}); // whoever only iterates sees the failure there
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Completion, void, undefined> {
    if (this.isIterated) throw new IlrError('ILR_INVALID_ARGUMENT', 'A Generation can be iterated once, and was.');
    this.isIterated = true;
    try {
      for (;;) {
        const completion = this.waiting.shift();
        if (completion) yield completion;
        else if (this.state === 'running') await this.news();
        else if (this.state === 'done') return;
        else throw this.state;
      }
    } finally {
      this.abort();
    }
  }

  private async run(native: () => AddonPolicy, request: GenerateRequest): Promise<GenerateCounters> {
    const tokens = new TokenCallback(() => this.abort());
    try {
      const counters = await runCall(() => {
        const call = native().generate(request, this.callbacks(tokens, request.onToken));
        this.abort = () => call.abort();
        return call;
      }, request);
      if (tokens.failure) throw tokens.failure;
      this.state = 'done';
      return counters;
    } catch (error) {
      this.state = tokens.failure ?? toIlrError(error);
      throw this.state;
    } finally {
      this.wake();
    }
  }

  private callbacks(tokens: TokenCallback, onToken: GenerateRequest['onToken']): AddonGenerateCallbacks {
    const onCompletion = (completion: Completion) => {
      this.waiting.push(completion);
      this.wake();
    };
    if (onToken !== undefined && typeof onToken !== 'function') {
      throw new IlrError('ILR_INVALID_ARGUMENT', `request.onToken: expected a function, got ${typeof onToken}`);
    }
    return onToken ? {onCompletion, onTokens: (pairs) => tokens.call(onToken, pairs)} : {onCompletion};
  }

  private news(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

/** A caller's `onToken`, which may throw: the first time ends the work. */
class TokenCallback {
  failure: IlrError | undefined;

  constructor(private readonly abort: () => void) {}

  call(onToken: (index: number, id: number) => void, pairs: Int32Array): void {
    if (this.failure) return;
    try {
      for (let i = 0; i < pairs.length; i += 2) onToken(pairs[i] as number, pairs[i + 1] as number);
    } catch (error) {
      this.failure = new IlrError('ILR_ABORTED', `onToken threw: ${messageOf(error)}`, {cause: error});
      this.abort();
    }
  }
}
