/**
DAPO's soft overlong punishment (arXiv 2503.14476, Eq. 13), turned round: what is taken off.

@param length - Of a completion, in tokens.
@returns 0 up to maxTokens − cache, then rising linearly to 1 at maxTokens.
*/
export function overlongPenalty(length: number, maxTokens: number, cache: number): number {
  return Math.min(1, Math.max(0, (length - (maxTokens - cache)) / cache));
}
