interface Time {
  readonly seconds: number;
  /** With a.m. or p.m. */
  readonly hasHalf: boolean;
}

const halfDay = 12 * 3600;

/** Whether two times of the day are one, `8:34 p.m.` and `20:34`; undefined where either text is no time. */
export function areSameTimes(gold: string, answer: string): boolean | undefined {
  const [g, a] = [timeOf(gold), timeOf(answer)];
  if (!g || !a) return undefined;
  // One may leave the half of the day to the question.
  const isOpen = g.hasHalf !== a.hasHalf && (g.hasHalf ? a : g).seconds <= halfDay + 3599;
  return isOpen ? g.seconds % halfDay === a.seconds % halfDay : g.seconds === a.seconds;
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
