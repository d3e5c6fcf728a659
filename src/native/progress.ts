export type SetupPhase = 'find' | 'download' | 'unpack' | 'tools' | 'configure' | 'compile' | 'prove';

/** What a set-up does, as it does it. `done` and `total` are in the unit that `unit` names. */
export interface SetupProgress {
  readonly phase: SetupPhase;
  readonly message: string;
  readonly done?: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'files';
}

export type Report = (progress: SetupProgress) => void;
