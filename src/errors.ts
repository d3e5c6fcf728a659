/** Every failure of ilr-native is one `IlrError`; `code` says which kind, the message what was expected, what came and what to try. */
export const ilrErrorCodes = [
  'ILR_INVALID_ARGUMENT', // a call was given something it cannot take
  'ILR_INVALID_CONFIG', // a run's YAML: file, line, column
  'ILR_INVALID_DATA', // a question file: file, line
  'ILR_INVALID_MODEL', // weights, config.json or tokenizer that do not fit together
  'ILR_UNSUPPORTED', // an architecture, dtype, device or platform that is not there yet
  'ILR_NOT_SET_UP', // addon or LibTorch missing or mismatched; the message names the command
  'ILR_IO', // reading or writing failed, a full disk included
  'ILR_OUT_OF_MEMORY', // what was asked, what was free, which option lowers it
  'ILR_CHECKPOINT', // a checkpoint is damaged, or belongs to another config, seed or thread count
  'ILR_DIFFICULTY', // too few self-rankings parsed, or a question without the level asked for
  'ILR_REWARD', // the reward function could grade nothing
  'ILR_ABORTED',
  'ILR_DISPOSED',
  'ILR_TORCH', // LibTorch said no; its first line, all of it on `cause`
] as const;

export type IlrErrorCode = (typeof ilrErrorCodes)[number];

const marker = Symbol.for('ilr-native.IlrError');

export class IlrError extends Error {
  override readonly name = 'IlrError';
  readonly code: IlrErrorCode;
  readonly [marker] = true;

  constructor(code: IlrErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** True for an IlrError of any copy of this package in the process. */
  static is(value: unknown): value is IlrError {
    try {
      return typeof value === 'object' && value !== null && marker in value;
    } catch {
      return false; // a Proxy that throws
    }
  }
}

export function isErrorCode(code: unknown): code is IlrErrorCode {
  return ilrErrorCodes.some((known) => known === code);
}

/** What was thrown may be anything. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error);
  } catch {
    return 'something that cannot be read'; // a Proxy or a `toString` that throws
  }
}
