type Part =
  | {readonly kind: 'star'}
  | {readonly kind: 'any'}
  | {readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly [string, string][]}
  | {readonly kind: 'text'; readonly text: string};

/**
Patterns as Hugging Face's own client has them (fnmatch): `*` is any text, slashes included, `?` one character, `[a-c]` one of a set; a
slash at the end means all below. In steps of at most pattern × text: no pattern makes it long.
*/
export function matches(pattern: string, path: string): boolean {
  const parts = partsOf(pattern.endsWith('/') ? `${pattern}*` : pattern);
  const text = [...path];
  let at = 0;
  let part = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    const now = parts[part];
    if (now?.kind === 'star') {
      star = part++;
      resume = at;
    } else if (now !== undefined && fits(now, text[at] as string)) {
      at++;
      part++;
    } else if (star >= 0) {
      part = star + 1;
      at = ++resume;
    } else return false;
  }
  return parts.slice(part).every(({kind}) => kind === 'star');
}

function partsOf(pattern: string): Part[] {
  const parts: Part[] = [];
  for (const [token] of pattern.matchAll(/\[!?\]?[^\]]*\]|./gsu)) {
    if (token === '*') parts.push({kind: 'star'});
    else if (token === '?') parts.push({kind: 'any'});
    else if (token.length > 2 && token.startsWith('[')) parts.push(setOf(token.slice(1, -1)));
    else parts.push({kind: 'text', text: token});
  }
  return parts;
}

function setOf(body: string): Part {
  const negated = body.startsWith('!');
  const ranges: [string, string][] = [];
  for (const [, from, to, one] of (negated ? body.slice(1) : body).matchAll(/(.)-(.)|(.)/gsu))
    ranges.push(one === undefined ? [from as string, to as string] : [one, one]);
  return {kind: 'set', negated, ranges};
}

function fits(part: Part, character: string): boolean {
  if (part.kind === 'text') return part.text === character;
  if (part.kind !== 'set') return true;
  return part.ranges.some(([from, to]) => from <= character && character <= to) !== part.negated;
}
