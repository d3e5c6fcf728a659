/** Signs and commands that something must follow. */
const open = /(?:[-+*/=<>^_&|]|\\(?:cdot|times|div|pm|mp|[dt]?frac|sqrt|binom|leq?|geq?|in|cup|cap|log|sum|int|prod))$/;

/**
Whether a gold answer that cannot be read as mathematics is no words either: cut off, or with a bracket that nothing closes. Such a one would be right
for whoever writes the same scraps.

@param text - As `clean` leaves it.
*/
export function isBroken(text: string): boolean {
  const words = text
    .replace(/\\(?:text(?:bf|it|rm)?|mbox|mathrm|mathbf|operatorname)\s*\{\s*(?=\p{L})/gu, 'text ')
    .replace(/\\[A-Za-z]+/g, ' ');
  if (!/\p{L}{2}/u.test(words)) return true;
  const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
  return (
    count(/(?<!\\)\{/g) !== count(/(?<!\\)\}/g) ||
    count(/\\begin\b/g) !== count(/\\end\b/g) ||
    count(/\(/g) > count(/[)\]]/g) ||
    open.test(text)
  );
}
