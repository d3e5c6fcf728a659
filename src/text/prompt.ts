import type {Segment} from './chat-template.js';
import type {TextSpan, Tokenizer} from './tokenizer.js';

/**
Ids of a rendered prompt. Text between two runs of ids is encoded as one; ids stay as they are, but the stop id that ends a turn is left out
where the template writes its own end of turn.

@param stopIds - What ends an assistant turn.
*/
export function encodeSegments(
  segments: readonly Segment[],
  tokenizer: Tokenizer,
  stopIds: ReadonlySet<number>,
): Int32Array {
  const ids: number[] = [];
  let spans: TextSpan[] = [];
  const flush = () => {
    for (const id of tokenizer.encodeSpans(spans, ids.length === 0)) ids.push(id);
    spans = [];
  };
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === 'template') {
      spans.push({text: segment.text, isTrusted: true});
      continue;
    }
    for (const [place, part] of segment.content.entries()) {
      if (typeof part === 'string') {
        spans.push({text: part, isTrusted: false});
        continue;
      }
      flush();
      const endsTurn =
        place === segment.content.length - 1 && templateEndsTurn(segments[index + 1], tokenizer, stopIds);
      for (const id of endsTurn ? withoutTrailing(part, stopIds) : part) ids.push(id);
    }
  }
  flush();
  return Int32Array.from(ids);
}

/** The added token that a template writes right after a content, white space aside. */
export function endOfTurn(next: Segment | undefined, tokenizer: Tokenizer): number | undefined {
  return next?.kind === 'template' ? tokenizer.leadingAddedToken(next.text.trimStart())?.id : undefined;
}

function templateEndsTurn(next: Segment | undefined, tokenizer: Tokenizer, stopIds: ReadonlySet<number>): boolean {
  const id = endOfTurn(next, tokenizer);
  // The plain format ends its turns with a blank line.
  return (id !== undefined && stopIds.has(id)) || (next?.kind === 'template' && next.text.startsWith('\n\n'));
}

function withoutTrailing(ids: Int32Array, stopIds: ReadonlySet<number>): Int32Array {
  let end = ids.length;
  while (end > 0 && stopIds.has(ids[end - 1] as number)) end--;
  return ids.subarray(0, end);
}
