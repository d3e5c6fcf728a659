import type {Choice} from './choose.js';
import type {HubLimits} from './limits.js';
import type {Repository} from './repository.js';
import type {HubSettings} from './settings.js';

export interface PullOptions extends Choice {
  readonly repository: Repository;
  readonly settings: HubSettings;
  /** Where the files go. */
  readonly folder: string;
  /** Branch, tag or commit. Default: `main`. */
  readonly revision?: string;
  /** Replaces files of that name which are neither what the hub has nor what was pulled before. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PullEvent) => void;
  readonly limits?: Partial<HubLimits>;
  readonly userAgent?: string;
}

export type PullEvent =
  /** What there is to do, before any download: the files, and the bytes of them that are not there in part. */
  | {readonly type: 'plan'; readonly commit: string; readonly files: number; readonly bytes: number}
  /** Bytes of `total` that are there; `received` of them came over the network now. */
  | {
      readonly type: 'progress';
      readonly phase: 'check' | 'download';
      readonly done: number;
      readonly total: number;
      readonly received: number;
    }
  | {readonly type: 'file'; readonly path: string; readonly bytes: number; readonly state: 'kept' | 'downloaded'}
  | {readonly type: 'retry'; readonly message: string; readonly waitMs: number};
