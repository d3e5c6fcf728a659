/** `\\text{ m/s}^2` at the end of an answer. */
const typeset = /\\(?:text|mathrm|textrm|rm)\s*\{\s*([^{}]*\p{L}[^{}]*)\}\s*(\^\s*\{?-?\d\}?)?\s*\$?\.?$/u;
/** A number, and behind a blank the signs of physical units: `9.8 m/s^2`. */
const plain =
  /^(\\?\$?[-+−]?[\d.,{}]+(?:\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?[-−]?\d+\}?)?|[-−]?\d*\\[dt]?frac\{\d+\}\{\d+\})(?:\s|\\[ ,;:~])+((?:[kcmMGnμu]?(?:m|s|g|L|l|N|J|V|W|A|K|C|F|Hz|Pa|mol|eV|T|Ω|h|min)(?:\s*\^\s*\{?-?\d\}?)?(?:\s*(?:\/|\\cdot|·|\*|\s)\s*|$))+)$/;

/**
The answer without a unit that the letters of its variables would be read for otherwise: one that the gold answer sets as text, or one of physics behind a
plain number. Of dollars and cents, the answer in the gold answer's.

@returns undefined where there is no such unit.
*/
export function inOtherUnits(gold: string, answer: string): string | undefined {
  const unit = typeset.exec(gold);
  if (unit) {
    const signs = `${unit[1]}${unit[2] ?? ''}`.replace(/[\s{}\\]/g, '');
    const bare = answer.replace(/[\s$.]+$/, '');
    for (let at = bare.length - 1; at > 0 && bare.length - at < 60; at--) {
      const end = bare.slice(at).replace(/\\(?:cdot|,|;|:| )|[\s{}\\]/g, '');
      if (end === signs && /[\d)}\]π\s]/.test(bare[at - 1] as string)) return bare.slice(0, at);
    }
    return undefined;
  }
  return plain.exec(answer.trim().replace(/^\$|\$$|\.$/g, ''))?.[1];
}

const cents = /(?:\bcents?\b|¢)/;
const dollars = /\\\$|\bdollars?\b/;

/** Whether one is in dollars and the other in cents. */
export function areOtherCoins(gold: string, answer: string): boolean {
  return (cents.test(gold) && dollars.test(answer)) || (dollars.test(gold) && cents.test(answer));
}
