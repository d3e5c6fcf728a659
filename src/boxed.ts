/**
The content of the last `\boxed{…}` whose braces balance; undefined when there is none. One pass, whatever the text.
*/
export function lastBoxed(text: string): string | undefined {
  const open: {readonly start: number; readonly isBox: boolean}[] = [];
  let last: {readonly start: number; readonly end: number} | undefined;
  for (let i = 0; i < text.length; ) {
    const box = text.startsWith('\\boxed', i) ? boxStart(text, i) : undefined;
    if (box !== undefined) {
      open.push({start: box, isBox: true});
      i = box;
    } else if (text[i] === '\\') {
      i += 2; // an escaped brace is not a brace
    } else {
      if (text[i] === '{') open.push({start: i + 1, isBox: false});
      if (text[i] === '}') {
        const closed = open.pop();
        if (closed?.isBox && (last === undefined || closed.start > last.start)) last = {start: closed.start, end: i};
      }
      i++;
    }
  }
  return last === undefined ? undefined : text.slice(last.start, last.end);
}

/** Where the content of a box at `i` starts: behind `\boxed{`, blanks allowed before the brace. */
function boxStart(text: string, i: number): number | undefined {
  let at = i + '\\boxed'.length;
  while (text[at] === ' ') at++;
  return text[at] === '{' ? at + 1 : undefined;
}
