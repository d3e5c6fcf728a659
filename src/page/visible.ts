/**
Text of a model, a file or a user as a page may show it: control characters, what turns the direction of writing, what is not seen, and halves
of characters become signs that can be seen, and the rest stays as it is. Line breaks and tabs are text; the two joiners are spelling
in several scripts.
*/
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(hidden, signOf);
}

/** Cut to `length` characters, never within one; `left` says how many are not shown. */
export function cutText(text: string, length: number): {readonly text: string; readonly left: number} {
  if (text.length <= length) return {text, left: 0};
  const isWithin = /[\ud800-\udbff]/.test(text.charAt(length - 1)) && /[\udc00-\udfff]/.test(text.charAt(length));
  const end = isWithin ? length - 1 : length;
  return {text: text.slice(0, end), left: text.length - end};
}

const hidden = /(?!\n|\t|\u200c|\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** `[U+202E]`: no font lacks the letters. */
function signOf(character: string): string {
  const code = character.codePointAt(0) as number;
  return `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
}
