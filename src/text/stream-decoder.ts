/** Turns ids into text; any tokenizer's `decode` serves. */
export interface Decoder {
  decode(ids: Int32Array): string;
}

/** How a decoder shows half a character: up to three bytes of it, one mark each or one for all. */
const unfinished = /\ufffd{1,3}$/;

/**
Text of ids as they come: an id that ends inside a UTF-8 character gives nothing of it until the character is whole. For ids of valid text the
joined output equals the decoding of all ids.
*/
export class StreamDecoder {
  private readonly text: Decoder;
  /** Ids not given out yet, after the last ones that were: a decoder may treat a sequence's first token differently. */
  private ids: number[] = [];
  private settled = 0;
  private given = '';

  constructor(text: Decoder) {
    this.text = text;
  }

  push(id: number): string {
    this.ids.push(id);
    const text = this.decode(this.ids);
    const whole = text.replace(unfinished, '');
    const fresh = whole.slice(this.given.length);
    if (fresh === '') return '';
    this.given = whole;
    if (whole.length === text.length) {
      this.ids = this.ids.slice(this.settled);
      this.settled = this.ids.length;
      this.given = this.decode(this.ids);
    }
    return fresh;
  }

  /** What is left: half a character comes out as U+FFFD. */
  end(): string {
    const fresh = this.decode(this.ids).slice(this.given.length);
    this.ids = [];
    this.settled = 0;
    this.given = '';
    return fresh;
  }

  private decode(ids: readonly number[]): string {
    return this.text.decode(Int32Array.from(ids));
  }
}
