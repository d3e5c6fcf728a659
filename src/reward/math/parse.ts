import {add, canonical, multiply, type Node, negate, numberOf, type Operator, reciprocal} from './ast.js';
import {Atoms} from './atoms.js';
import type {Budget} from './budget.js';
import {NotMathematics} from './cursor.js';
import {isProper, numberToken} from './literal.js';
import {transposed} from './shapes.js';
import {type Token, tokenize} from './tokens.js';
import {numberWord} from './words.js';

const relations: Readonly<Record<string, Operator>> = {
  '=': '=',
  '≠': '≠',
  '<': '<',
  '>': '>',
  '≤': '≤',
  '≥': '≥',
  '∈': '∈',
  '≈': '≈',
  '≡': '≡',
  '→': '→',
};

const moduli: readonly string[] = ['pmod', 'bmod', 'mod'];

const greek = new Set(
  'alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega'.split(' '),
);

/** @throws NotMathematics, or TooComplex. */
export function parse(text: string, budget: Budget): Node {
  const tokens = tokenize(text, budget);
  // `red ball` is no product with a unit.
  const isProse = tokens.every(
    ({kind, text: mark}) =>
      !['number', 'command', 'environment'].includes(kind) && !(kind === 'mark' && !/^(?:[,;.]|and|or)$/.test(mark)),
  );
  if (isProse && tokens.some(({kind}) => kind === 'word')) throw new NotMathematics('words');
  return new Parser(tokens, budget).answer();
}

/** Operators, from the loosest to the tightest. */
class Parser extends Atoms {
  answer(): Node {
    const node = this.alternatives();
    this.skipUnits();
    if (this.peek().kind !== 'end') throw new NotMathematics(`expected the end, got ${this.peek().text}`);
    return node;
  }

  /** `a; b` of `a, b`: what a semicolon parts is each a list of its own. */
  protected override alternatives(): Node {
    const groups = [this.commaList()];
    while (this.take(';')) if (!this.isListEnd()) groups.push(this.commaList());
    if (groups.length === 1) return groups[0] as Node;
    return {kind: 'list', items: groups.map((group) => (group.kind === 'list' ? {...group, kind: 'list'} : group))};
  }

  protected override commaList(): Node {
    const items = [this.relation()];
    while (this.takeSeparator()) if (!this.isListEnd()) items.push(this.relation());
    return items.length === 1 ? (items[0] as Node) : {kind: 'list', items};
  }

  private isListEnd(): boolean {
    const token = this.peek();
    return token.kind === 'end' || (token.kind === 'mark' && [')', ']', '}', '⦄', '⟩', ';'].includes(token.text));
  }

  private takeSeparator(): boolean {
    const start = this.at;
    this.skipUnits();
    let found = false;
    while (this.take(',') || this.take('and') || this.take('or')) found = true;
    if (!found) this.at = start;
    return found;
  }

  protected override relation(): Node {
    const items = [this.union()];
    const operators: Operator[] = [];
    for (;;) {
      this.budget.spend();
      const token = this.peek();
      if (token.kind === 'mark' && token.text === '⇒') {
        // A derivation: what counts is where it ends.
        this.next();
        return this.relation();
      }
      const operator = token.kind === 'mark' ? relations[token.text] : undefined;
      if (operator === undefined) break;
      this.next();
      operators.push(operator);
      items.push(this.union());
    }
    return operators.length === 0 ? (items[0] as Node) : {kind: 'relation', operators, items};
  }

  private union(): Node {
    let node = this.ratio();
    for (;;) {
      const kind = this.isMark('∪')
        ? 'union'
        : this.isMark('∩')
          ? 'intersection'
          : this.isMark('∖')
            ? 'difference'
            : undefined;
      if (kind === undefined) return node;
      this.next();
      const right = this.ratio();
      node =
        node.kind === kind && kind !== 'difference'
          ? {kind, items: [...node.items, right]}
          : {kind, items: [node, right]};
    }
  }

  private ratio(): Node {
    const items = [this.residue()];
    while (this.isMark(':') && !this.isSuchThat) {
      this.next();
      items.push(this.residue());
    }
    return items.length === 1 ? (items[0] as Node) : {kind: 'ratio', items};
  }

  /** `3 \\pmod 7` */
  private residue(): Node {
    const node = this.sum();
    const isTaken = this.peek().kind === 'command' && moduli.includes(this.peek().text);
    if (!isTaken) return node;
    this.next();
    return {kind: 'opaque', name: 'mod', args: [node, this.factor()]};
  }

  protected override sum(): Node {
    return this.nested(() => {
      let node = this.signed();
      for (;;) {
        this.budget.spend(node.kind === 'sum' ? 1 + (node.items.length >> 5) : 1);
        if (this.take('+')) node = add(node, this.term());
        else if (this.take('-')) node = add(node, negate(this.term()));
        else if (this.isMark('±') || this.isMark('∓')) {
          const isUpper = this.next().text === '±';
          const term = this.term();
          const [plus, minus] = [add(node, term), add(node, negate(term))];
          node = isUpper ? {kind: 'choice', plus, minus} : {kind: 'choice', plus: minus, minus: plus};
        } else return node;
      }
    });
  }

  private signed(): Node {
    if (this.take('+')) return this.signed();
    if (this.take('-')) return negate(this.term());
    if (this.isMark('±') || this.isMark('∓')) {
      const isUpper = this.next().text === '±';
      const term = this.term();
      return isUpper
        ? {kind: 'choice', plus: term, minus: negate(term)}
        : {kind: 'choice', plus: negate(term), minus: term};
    }
    return this.term();
  }

  protected override term(): Node {
    let node = this.factor();
    for (;;) {
      // A product is copied as it grows.
      this.budget.spend(node.kind === 'product' ? 1 + (node.items.length >> 5) : 1);
      if (this.take('*')) node = multiply(node, this.signedFactor());
      else if (this.take('/')) node = multiply(node, reciprocal(this.divisor()));
      else if (this.startsOperation()) node = {kind: 'opaque', name: this.next().text, args: [node, this.factor()]};
      else if (this.startsFactor()) {
        const right = this.mixedPart(node);
        node = right ? add(node, right) : multiply(node, this.factor());
      } else return node;
    }
  }

  /** `f \\circ g`, `a \\star b`: whose order may matter. */
  private startsOperation(): boolean {
    const {kind, text} = this.peek();
    return kind === 'command' && (text === 'star' || text === 'compose');
  }

  private signedFactor(): Node {
    if (this.take('-')) return negate(this.signedFactor());
    if (this.take('+')) return this.signedFactor();
    return this.factor();
  }

  /** Letters that touch are one product below a slash: `t/RC`, `dy/dx`. Nobody writes `t/RC` for `(t/R)C`. */
  private divisor(): Node {
    const isLetter = ({kind, text}: Token) => kind === 'letter' || (kind === 'command' && greek.has(text));
    const touches = () => !this.peek().isApart || this.tokens[this.at - 1]?.kind === 'command';
    const isName = isLetter(this.peek());
    let node = this.signedFactor();
    while (isName && isLetter(this.peek()) && touches()) {
      this.budget.spend();
      node = multiply(node, this.factor());
    }
    return node;
  }

  /** The fraction of `2\frac13` or `2 1/3`. */
  private mixedPart(whole: Node): Node | undefined {
    if (
      whole.kind !== 'number' ||
      whole.written !== undefined ||
      whole.value.d !== 1n ||
      this.tokens[this.at - 1]?.kind !== 'number'
    )
      return undefined;
    const start = this.at;
    if (this.peek().kind === 'command' && this.peek().text === 'frac') {
      const fraction = this.factor();
      if (isProper(fraction)) return whole.value.n < 0n ? negate(fraction) : fraction;
    } else if (
      this.peek().kind === 'number' &&
      this.peek().isApart &&
      this.isMark('/', 1) &&
      this.peek(2).kind === 'number'
    ) {
      const above = numberToken(this.next().text);
      this.expect('/');
      const below = numberToken(this.next().text);
      const fraction = multiply(above, reciprocal(below));
      if (isProper(fraction)) return whole.value.n < 0n ? negate(fraction) : fraction;
      throw new NotMathematics('two numbers side by side');
    }
    this.at = start;
    return undefined;
  }

  protected override startsFactor(): boolean {
    const token = this.peek();
    if (token.kind === 'number') {
      // `2 3` is no product, `x2` and `)2` are.
      const isBehindNumber = this.tokens[this.at - 1]?.kind === 'number';
      // `2^6 3^5`
      const isPower = this.tokens[this.at - 2]?.text === '^' && token.isApart && this.isMark('^', 1);
      return !isBehindNumber || this.isMark('/', 1) || isPower;
    }
    if (token.kind === 'command') return !['choose', 'over', ...moduli].includes(token.text);
    if (token.kind === 'letter') return true;
    if (token.kind === 'environment') return token.text.startsWith('begin');
    if (token.kind !== 'mark') return false;
    if (token.text === '|' || token.text === '‖') return this.bars === 0;
    if (token.text === '[' && this.isTurned) return false;
    // `17 (students)`
    if (token.text === '(' && this.peek(1).kind === 'word') return false;
    return ['(', '[', '{', '⦃', '⟨', '⌊', '⌈'].includes(token.text);
  }

  protected override factor(): Node {
    return this.nested(() => this.postfix(this.primary()));
  }

  private postfix(start: Node): Node {
    let node = start;
    for (;;) {
      this.budget.spend();
      if (this.isMark('^')) {
        this.next();
        if (this.takeDegree()) {
          node = this.inRadians(node);
          continue;
        }
        if (this.takeTransposed(node)) {
          node = transposed(node);
          continue;
        }
        node = this.takePrimes()
          ? {kind: 'opaque', name: 'prime', args: [node]}
          : {kind: 'power', base: node, exponent: this.script()};
      } else if (this.take('°')) {
        node = this.inRadians(node);
      } else if (this.isMark('!') && !this.isMark('=', 1)) {
        this.next();
        node = {kind: 'call', name: 'factorial', args: [node]};
      } else if (this.take('%')) {
        node = {kind: 'percent', value: node};
      } else if (this.take("'")) {
        node = {kind: 'opaque', name: 'prime', args: [node]};
      } else if (this.isMark('_')) {
        this.next();
        node = this.subscripted(node);
      } else return node;
    }
  }

  private takeDegree(): boolean {
    if (this.take('°')) return true;
    if (this.isMark('{') && this.isMark('°', 1) && this.isMark('}', 2)) {
      this.at += 3;
      return true;
    }
    return false;
  }

  private takeTransposed(node: Node): boolean {
    if (node.kind !== 'tuple' && node.kind !== 'matrix') return false;
    const isSign = (ahead: number) => ['T', 'top', 'intercal'].includes(this.peek(ahead).text);
    const length = isSign(0) ? 1 : this.isMark('{') && isSign(1) && this.isMark('}', 2) ? 3 : 0;
    this.at += length;
    return length > 0;
  }

  /** `y^{\\prime}` is `y'`. */
  private takePrimes(): boolean {
    if (this.take("'")) return true;
    if (!this.isMark('{') || !this.isMark("'", 1) || !this.isMark('}', 2)) return false;
    this.at += 3;
    return true;
  }

  private inRadians(degrees: Node): Node {
    if (!this.isAngle) return degrees;
    return {kind: 'product', items: [degrees, {kind: 'symbol', name: 'π'}, reciprocal(numberOf(180))]};
  }

  private subscripted(node: Node): Node {
    const written = this.label();
    const label = String(numberWord(written) ?? written);
    if (node.kind === 'number' && /^\d+$/.test(label))
      // `0.011` and `0.0011` have the same digits.
      return {kind: 'based', digits: canonical(node), base: label};
    if (node.kind === 'symbol') return this.application({kind: 'symbol', name: `${node.name}_${label}`});
    return {kind: 'opaque', name: `sub_${label}`, args: [node]};
  }
}
