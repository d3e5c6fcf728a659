/** `\\text{ m/s}^2` at the end of an answer. */
const typeset = /\\(?:text|mathrm|textrm|mbox)\s*\{\s*([^{}]*\p{L}[^{}]*)\}\s*(\^\s*\{?-?\d\}?)?\s*\$?\.?$/u;
/** A number, and behind a blank the signs of physical units: `9.8 m/s^2`. */
const plain =
  /^(\\?\$?[-+−]?[\d.,{}]+(?:\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?[-−]?\d+\}?)?|[-−]?\d*\\[dt]?frac\{\d+\}\{\d+\})(?:\s|\\[ ,;:~])+((?:[kcmMGnμu]?(?:m|s|g|L|l|N|J|V|W|A|K|C|F|Hz|Pa|mol|eV|T|Ω|h|min|[MLR]_\{?\\odot\}?)(?:\s*\^\s*\{?-?\d\}?)?(?:\s*(?:\/|\\cdot|·|\*|\s)\s*|$))+)$/;

/** `\lambda \approx ` */
const named = /^\s*\\?\p{L}[\p{L}\d_{}]{0,15}\s*(?:=|≈|\\approx(?![a-z]))\s*/u;

/**
Both without the unit that the gold answer sets as text, where the answer has the same one or none; or the answer without a physical unit behind a plain
number. Their letters would be read as variables otherwise.

@returns undefined where there is no such unit.
*/
export function withoutUnits(
  gold: string,
  answer: string,
): {readonly gold: string; readonly answer: string} | undefined {
  const unit = typeset.exec(gold);
  if (!unit) {
    const [g, a] = [gold, answer].map((text) =>
      plain.exec(
        text
          .trim()
          .replace(/^(?:\$|\\\()|(?:\$|\\\))$|\.$/g, '')
          .replace(named, ''),
      ),
    );
    // `60 km/h`, and not `60 m`
    const isQuotient = g?.[2]?.includes('/') ?? false;
    if (!isQuotient) return a ? {gold, answer: a[1] as string} : undefined;
    if (a && signsOf(a[2] as string) !== signsOf(g?.[2] as string)) return undefined;
    return {gold: g?.[1] as string, answer: a?.[1] ?? answer};
  }
  const quantity = gold.slice(0, unit.index);
  if (!/(?:[\d)}\]π]|\\pi)\s*$/.test(quantity.replace(/(?:\\[ ,;:~!]|~)+$/, ''))) return undefined;
  const signs = signsOf(`${unit[1]}${unit[2] ?? ''}`);
  // `3\\mathrm{i}`, `2\\text{x}`
  if (/^[A-Za-z]$/.test(signs) && !isPhysicalLetter(signs)) return undefined;
  const bare = answer.replace(/[\s$.]+$/, '');
  for (let at = bare.length; at > 0 && bare.length - at < 60; at--)
    if (signsOf(bare.slice(at)) === signs && /[\d)}\]π\s]/.test(bare[at - 1] as string))
      return {gold: quantity, answer: bare.slice(0, at)};
  return /\p{L}/u.test(answer.replace(/\\(?:[dt]?frac|sqrt|pi|cdot|times|left|right)(?![a-z])/g, ''))
    ? undefined
    : {gold: quantity, answer};
}

/** Set as text behind a quantity, these are units; `i`, `e`, `d` and `x` are not. */
export function isPhysicalLetter(word: string): boolean {
  return /^[msghNJVWAKLFT]$/.test(word);
}

function signsOf(unit: string): string {
  return unit
    .replace(/[²³]/g, (sign) => (sign === '²' ? '^2' : '^3'))
    .replace(/\\(?:cdot|text|mathrm|mbox|,|;|:| )|[\s{}\\]/g, '');
}

/** By what they measure: how many of the smallest each is. */
const measures: readonly (readonly [names: RegExp, size: number, kind: string])[] = [
  [/^(?:mm|millimet(?:er|re)s?)$/, 1, 'length'],
  [/^(?:cm|centimet(?:er|re)s?)$/, 10, 'length'],
  [/^(?:m|met(?:er|re)s?)$/, 1000, 'length'],
  [/^(?:km|kilomet(?:er|re)s?)$/, 1e6, 'length'],
  [/^(?:in|inch(?:es)?)$/, 25.4, 'length'],
  [/^(?:ft|foot|feet)$/, 304.8, 'length'],
  [/^(?:yd|yards?)$/, 914.4, 'length'],
  [/^(?:mi|miles?)$/, 1_609_344, 'length'],
  [/^(?:s|sec|secs|seconds?)$/, 1, 'time'],
  [/^(?:min|mins|minutes?)$/, 60, 'time'],
  [/^(?:h|hr|hrs|hours?)$/, 3600, 'time'],
  [/^days?$/, 86_400, 'time'],
  [/^weeks?$/, 604_800, 'time'],
  [/^(?:mg|milligrams?)$/, 1, 'mass'],
  [/^(?:g|grams?)$/, 1000, 'mass'],
  [/^(?:kg|kilograms?)$/, 1e6, 'mass'],
  [/^(?:m[lL]|millilit(?:er|re)s?)$/, 1000, 'length to the 3'],
  [/^(?:[lL]|lit(?:er|re)s?)$/, 1e6, 'length to the 3'],
  [/^(?:oz|ounces?)$/, 28_349.523125, 'mass'],
  [/^(?:lbs?|pounds?)$/, 453_592.37, 'mass'],
  [/^(?:Hz|hertz)$/, 1, 'frequency'],
  [/^kHz$/, 1e3, 'frequency'],
  [/^MHz$/, 1e6, 'frequency'],
  [/^GHz$/, 1e9, 'frequency'],
  [/^(?:W|watts?)$/, 1, 'power'],
  [/^(?:kW|kilowatts?)$/, 1e3, 'power'],
  [/^MW$/, 1e6, 'power'],
  [/^(?:J|joules?)$/, 1, 'energy'],
  [/^(?:kJ|kilojoules?)$/, 1e3, 'energy'],
  [/^eV$/, 1, 'energy of particles'],
  [/^keV$/, 1e3, 'energy of particles'],
  [/^MeV$/, 1e6, 'energy of particles'],
  [/^GeV$/, 1e9, 'energy of particles'],
  [/^pm$/, 1e-3, 'small length'],
  [/^nm$/, 1, 'small length'],
  [/^[μµ]m$/, 1e3, 'small length'],
  [/^cents?$/, 1, 'money'],
  [/^dollars?$/, 100, 'money'],
];
const single =
  /^\\?\$?((?=[-−\d\\])[-−]?(?:\d+\/\d+|\d[\d.,]*)?\s*(?:\\[dt]?frac\{\d+\}\{\d+\})?\s*(?:\\sqrt\s*(?:\{\d+\}|\d))?\s*(?:\\pi(?![a-z]))?)\s*(?:\\[ ,;:~]\s*)*(?:\\(?:text|mathrm|textrm|mbox)\s*\{\s*)?((?:square|cubic|sq\.?|cu\.?)\s+)?([A-Za-zμµ]+)(?:\s*(?:\/|\bper\b)\s*([A-Za-z]+))?\.?\s*\}?\s*(?:\^\s*\{?([23])\}?|([²³]))?\.?\s*\}?$/;

const speeds: Readonly<Record<string, readonly [string, string]>> = {
  mph: ['mi', 'h'],
  kph: ['km', 'h'],
  kmh: ['km', 'h'],
};

interface Measured {
  readonly value: string;
  readonly size: number;
  /** What `size` is divided by: of `km/h`, an hour's seconds. */
  readonly over?: number;
  readonly kind: string;
}

/** Both values with the sizes of their units, where these are known ones and differ: `5 hours` and `5 minutes`, `10 cm` and `10 cm^2`. */
export function unitSizes(
  gold: string,
  answer: string,
): {readonly gold: Measured; readonly answer: Measured} | undefined {
  const [g, a] = [measured(gold), measured(answer)];
  return g && a && (g.kind !== a.kind || g.size !== a.size || g.over !== a.over) ? {gold: g, answer: a} : undefined;
}

function measured(text: string): Measured | undefined {
  const dollars = /^\\?\$\s*([\d.,]*\d)$/.exec(text.trim())?.[1];
  if (dollars !== undefined) return {value: dollars, size: 100, kind: 'money'};
  const [, value, before, name = '', per, exponent, sign] =
    single.exec(text.trim().replace(/^\$(?=[^$]*\$$)|(?<=[^\\])\$$/g, '')) ?? [];
  const [above, below] = speeds[name] ?? [name, per];
  const [unit, time] = [above, below].map((sign) => measures.find(([names]) => sign !== undefined && names.test(sign)));
  if (unit === undefined || value === undefined) return undefined;
  if (below !== undefined) {
    if (time?.[2] !== 'time' || before || exponent || sign) return undefined;
    return {value, size: unit[1], over: time[1], kind: `${unit[2]} in a time`};
  }
  const power = before ? (before.startsWith('s') ? 2 : 3) : Number(exponent ?? (sign ? '²³'.indexOf(sign) + 2 : 1));
  return {value, size: unit[1] ** power, kind: power === 1 ? unit[2] : `${unit[2]} to the ${power}`};
}

const degrees = /\^\s*\{?\s*\\circ|°|\bdegrees?\b/;

/** Whether one is an angle in degrees, and the other one with π in it. */
export function areOtherAngles(gold: string, answer: string): boolean {
  return degrees.test(gold) !== degrees.test(answer) && /\\pi(?![a-z])|π/.test(degrees.test(gold) ? answer : gold);
}

/** Whether both count the same things differently: `3 apples and 4 pears`, `4 apples and 3 pears`. */
export function areOtherCounts(gold: string, answer: string): boolean {
  const [g, a] = [countsIn(gold), countsIn(answer)];
  return g.size > 1 && g.size === a.size && [...g].some(([thing, count]) => a.has(thing) && a.get(thing) !== count);
}

function countsIn(text: string): ReadonlyMap<string, string> {
  const counted = text.replace(/\\text\s*\{([^{}]*)\}/g, ' $1 ').matchAll(/(\d+)\s+([a-z]{3,})/gi);
  return new Map([...counted].map(([, count, thing]) => [(thing as string).toLowerCase(), count as string]));
}
