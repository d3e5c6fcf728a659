/** Every failure of ilr-native is one `IlrError`; `code` says which kind, the message what was expected, what came and what to try. */
export type IlrErrorCode =
  | 'ILR_INVALID_ARGUMENT' // a call was given something it cannot take
  | 'ILR_INVALID_CONFIG' // a run's YAML: file, line, column
  | 'ILR_INVALID_DATA' // a question file: file, line
  | 'ILR_INVALID_MODEL' // weights, config.json or tokenizer that do not fit together
  | 'ILR_UNSUPPORTED' // an architecture, dtype, device or platform that is not there yet
  | 'ILR_NOT_SET_UP' // addon or LibTorch missing or mismatched; the message names the command
  | 'ILR_IO' // reading or writing failed, a full disk included
  | 'ILR_OUT_OF_MEMORY'
  | 'ILR_CHECKPOINT' // a checkpoint is damaged, or belongs to another config, seed or thread count
  | 'ILR_DIFFICULTY' // too few self-rankings parsed
  | 'ILR_REWARD' // the reward function could grade nothing
  | 'ILR_ABORTED'
  | 'ILR_DISPOSED'
  | 'ILR_TORCH'; // LibTorch said no; its first line

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
    return typeof value === 'object' && value !== null && marker in value;
  }
}

/** What was thrown may be anything. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
