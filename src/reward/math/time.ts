interface Time {
  readonly seconds: number;
  /** Morning or afternoon is told, or follows from the hour. */
  readonly isCertain: boolean;
}

const halfDay = 12 * 3600;

/** Whether two times of the day are one, `8:34 p.m.` and `20:34`; undefined where either text is no time. */
export function areSameTimes(gold: string, answer: string): boolean | undefined {
  const [g, a] = [timeOf(gold), timeOf(answer)];
  if (!g || !a) return undefined;
  return g.isCertain && a.isCertain ? g.seconds === a.seconds : g.seconds % halfDay === a.seconds % halfDay;
}

function timeOf(text: string): Time | undefined {
  const match = /^(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?\s*(?:\\text\s*\{)?\s*(?:([ap])\.?\s*m\.?)?\s*\}?$/i.exec(text);
  if (!match) return undefined;
  const [, hour, minutes, seconds, half] = match;
  if (minutes === undefined && half === undefined) return undefined;
  const told = Number(hour);
  const day = half === undefined ? told : (told % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
  return {
    seconds: 3600 * day + 60 * Number(minutes ?? 0) + Number(seconds ?? 0),
    isCertain: half !== undefined || told > 12 || told === 0,
  };
}
