interface Time {
  readonly seconds: number;
  /** With a.m. or p.m. */
  readonly hasHalf: boolean;
}

const halfDay = 12 * 3600;

/** Whether two durations or two times of the day are one, `8:34 p.m.` and `20:34`; undefined where either text is no time. */
export function areSameTimes(gold: string, answer: string): boolean | undefined {
  const [goldDuration, answerDuration] = [durationOf(gold), durationOf(answer)];
  if (goldDuration !== undefined && answerDuration !== undefined)
    return Math.abs(goldDuration - answerDuration) <= 1e-9 * goldDuration;
  const [g, a] = [timeOf(gold), timeOf(answer)];
  if (!g || !a) return undefined;
  // One may leave the half of the day to the question.
  const isOpen = g.hasHalf !== a.hasHalf && (g.hasHalf ? a : g).seconds <= halfDay + 3599;
  return isOpen ? g.seconds % halfDay === a.seconds % halfDay : g.seconds === a.seconds;
}

const seconds: readonly (readonly [name: RegExp, seconds: number])[] = [
  [/^d(?:ays?)?$/, 86_400],
  [/^h(?:rs?|ours?)?$/, 3600],
  [/^m(?:ins?|inutes?)?$/, 60],
  [/^s(?:ecs?|econds?)?$/, 1],
];

/** Of `2 hours and 30 minutes`, in seconds; undefined where the text is no such sum of two or three. */
export function durationOf(text: string): number | undefined {
  const plain = text.replace(/\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}|\\[ ,;]|[$~]/g, ' $1').toLowerCase();
  const parts = [...plain.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)\.?(?:\s*,)?(?:\s+and)?/g)];
  const rest = parts.reduce((left, [part]) => left.replace(part, ''), plain);
  if (parts.length < 1 || parts.length > 4 || rest.trim() !== '') return undefined;
  let total = 0;
  for (const [, count, name] of parts) {
    const unit = seconds.find(([pattern]) => pattern.test(name as string));
    if (unit === undefined) return undefined;
    total += Number(count) * unit[1];
  }
  return total;
}

function timeOf(text: string): Time | undefined {
  const plain = text.replace(/\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}/g, '$1').trim();
  const match = /^(\d{1,2})(?:\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?)?\s*(?:([ap])\.?\s*m\.?)?$/i.exec(plain);
  if (!match) return undefined;
  const [, hour, minutes, seconds, half] = match;
  if (minutes === undefined && half === undefined) return undefined;
  const told = Number(hour);
  const day = half === undefined ? told : (told % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
  return {
    seconds: 3600 * day + 60 * Number(minutes ?? 0) + Number(seconds ?? 0),
    hasHalf: half !== undefined,
  };
}
