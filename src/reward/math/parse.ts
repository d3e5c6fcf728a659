import {add, multiply, type Node, negate, numberOf, type Operator, reciprocal} from './ast.js';
import type {Budget} from './budget.js';
import {Cursor, NotMathematics} from './cursor.js';
import {isProper, numberToken} from './literal.js';
import {determinant} from './matrix.js';
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

const functions: Readonly<Record<string, string>> = {
  sin: 'sin',
  cos: 'cos',
  tan: 'tan',
  cot: 'cot',
  sec: 'sec',
  csc: 'csc',
  arcsin: 'arcsin',
  arccos: 'arccos',
  arctan: 'arctan',
  asin: 'arcsin',
  acos: 'arccos',
  atan: 'arctan',
  arccot: 'arccot',
  sinh: 'sinh',
  cosh: 'cosh',
  tanh: 'tanh',
  ln: 'ln',
  log: 'log',
  lg: 'log10',
  exp: 'exp',
  abs: 'abs',
  Abs: 'abs',
  floor: 'floor',
  ceil: 'ceil',
  ceiling: 'ceil',
  cbrt: 'cbrt',
  Re: 'Re',
  Im: 'Im',
  arg: 'arg',
  det: 'det',
  gcd: 'gcd',
  lcm: 'lcm',
  max: 'max',
  min: 'min',
  factorial: 'factorial',
  binomial: 'binom',
  tg: 'tan',
  ctg: 'cot',
};

const bigOperators = new Set(['sum', 'prod', 'int', 'lim', 'iint', 'oint', 'limsup', 'liminf', 'sup', 'inf']);

/** Names that stand for functions where a bracket follows. */
const functionLetters = new Set(['f', 'g', 'h', 'F', 'G', 'H', 'P', 'Q', 'W', 'phi', 'Gamma']);

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

class Parser extends Cursor {
  private bars = 0;
  /** Inside the argument of a trigonometric function, where a degree is not just a unit. */
  private isAngle = false;
  /** Directly inside the braces of a set, where a colon says "such that". */
  private isSuchThat = false;
  /** Inside `]a, b[`, where a bracket that opens closes. */
  private isTurned = false;

  answer(): Node {
    const node = this.alternatives();
    this.skipUnits();
    if (this.peek().kind !== 'end') throw new NotMathematics(`expected the end, got ${this.peek().text}`);
    return node;
  }

  /** `a; b` of `a, b`: what a semicolon parts is each a list of its own. */
  private alternatives(): Node {
    const groups = [this.commaList()];
    while (this.take(';')) if (!this.isListEnd()) groups.push(this.commaList());
    if (groups.length === 1) return groups[0] as Node;
    return {kind: 'list', items: groups.map((group) => (group.kind === 'list' ? {...group, kind: 'list'} : group))};
  }

  private commaList(): Node {
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

  private relation(): Node {
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
    const items = [this.sum()];
    while (this.isMark(':') && !this.isSuchThat) {
      this.next();
      items.push(this.sum());
    }
    return items.length === 1 ? (items[0] as Node) : {kind: 'ratio', items};
  }

  private sum(): Node {
    return this.nested(() => {
      let node = this.signed();
      for (;;) {
        this.budget.spend();
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

  private term(): Node {
    let node = this.factor();
    for (;;) {
      this.budget.spend();
      if (this.take('*')) node = multiply(node, this.signedFactor());
      else if (this.take('/')) node = multiply(node, reciprocal(this.signedFactor()));
      else if (this.startsFactor()) {
        const right = this.mixedPart(node);
        node = right ? add(node, right) : multiply(node, this.factor());
      } else return node;
    }
  }

  private signedFactor(): Node {
    if (this.take('-')) return negate(this.signedFactor());
    if (this.take('+')) return this.signedFactor();
    return this.factor();
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

  private startsFactor(): boolean {
    const token = this.peek();
    if (token.kind === 'number') {
      // `2 3` is no product, `x2` and `)2` are.
      const isBehindNumber = this.tokens[this.at - 1]?.kind === 'number';
      // `2^6 3^5`
      const isPower = this.tokens[this.at - 2]?.text === '^' && token.isApart && this.isMark('^', 1);
      return !isBehindNumber || this.isMark('/', 1) || isPower;
    }
    if (token.kind === 'command') return token.text !== 'choose' && token.text !== 'over';
    if (token.kind === 'letter') return true;
    if (token.kind === 'environment') return token.text.startsWith('begin');
    if (token.kind !== 'mark') return false;
    if (token.text === '|' || token.text === '‖') return this.bars === 0;
    if (token.text === '[' && this.isTurned) return false;
    return ['(', '[', '{', '⦃', '⟨', '⌊', '⌈'].includes(token.text);
  }

  private factor(): Node {
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

  /** What stands above or below: a group, or one sign. */
  private script(): Node {
    if (this.take('-')) return negate(this.script());
    if (this.isMark('{')) return this.group();
    const token = this.peek();
    if (
      token.kind === 'number' &&
      token.text.length > 1 &&
      !token.text.includes('.') &&
      this.tokens[this.at - 1]?.text === '^'
    ) {
      // LaTeX raises one digit; plain text all of them. An answer means all of them.
      this.next();
      return numberToken(token.text);
    }
    return this.primary();
  }

  private subscripted(node: Node): Node {
    const written = this.label();
    const label = String(numberWord(written) ?? written);
    if (node.kind === 'number' && /^\d+$/.test(label))
      return {kind: 'based', digits: String(node.value.n), base: label};
    if (node.kind === 'symbol') return this.application({kind: 'symbol', name: `${node.name}_${label}`});
    return {kind: 'opaque', name: `sub_${label}`, args: [node]};
  }

  /** A subscript as text. */
  private label(): string {
    if (!this.take('{')) return this.next().text;
    let text = '';
    let depth = 1;
    for (;;) {
      const token = this.next();
      if (token.kind === 'end') throw new NotMathematics('an open brace');
      if (token.kind === 'mark' && token.text === '{') depth++;
      if (token.kind === 'mark' && token.text === '}' && --depth === 0) return text;
      text += token.text;
    }
  }

  private primary(): Node {
    const token = this.next();
    if (token.kind === 'number') return numberToken(token.text);
    if (token.kind === 'letter') return this.application({kind: 'symbol', name: token.text});
    if (token.kind === 'command') return this.command(token.text);
    if (token.kind === 'environment' && token.text.startsWith('begin ')) return this.matrix(token.text.slice(6));
    if (token.kind === 'mark') return this.bracket(token.text);
    throw new NotMathematics(`unexpected ${token.text}`);
  }

  /** `f(x)` of a name that is a function's. */
  private application(symbol: {readonly kind: 'symbol'; readonly name: string}): Node {
    const letter = symbol.name.split('_')[0] as string;
    // `f{\\left(x \\right)}`, as SymPy writes it.
    const isBraced = this.isMark('{') && this.isMark('(', 1) && functionLetters.has(letter);
    if (isBraced) this.next();
    if (!this.isMark('(')) return symbol;
    // `I(0)` is no product, and `N(t)` hardly one.
    const [inside, end] = [this.peek(1), this.peek(2)];
    const isOne = end.text === ')' && (inside.kind === 'letter' || inside.kind === 'number');
    const isApplied = isOne && !end.isApart && (inside.text === '0' || /^[A-Z]/.test(letter));
    if (!functionLetters.has(letter) && !isApplied) return symbol;
    this.next();
    const args = this.alternatives();
    this.expect(')');
    if (isBraced) this.expect('}');
    return {kind: 'opaque', name: symbol.name, args: [args]};
  }

  private command(name: string): Node {
    if (name === 'frac') {
      const above = this.argument();
      return multiply(above, reciprocal(this.argument()));
    }
    if (name === 'binom') return {kind: 'call', name: 'binom', args: [this.argument(), this.argument()]};
    if (name === 'sqrt') return this.root();
    if (name === 'pi') return {kind: 'symbol', name: 'π'};
    if (name === 'infty') return {kind: 'infinity'};
    if (name === 'emptyset' || name === 'varnothing') return {kind: 'set', items: []};
    if (name === 'mathbb') return {kind: 'symbol', name: `mathbb ${this.label()}`};
    if (name === 'angle' || name === 'measuredangle' || name === 'triangle')
      return {kind: 'opaque', name, args: [this.factor()]};
    if (bigOperators.has(name)) return this.bigOperator(name);
    const known = functions[name];
    if (known !== undefined) return this.call(known);
    return this.application({kind: 'symbol', name});
  }

  /** Of `\frac`: a group, or one digit or letter. */
  private argument(): Node {
    if (this.isMark('{')) return this.group();
    const token = this.peek();
    if (token.kind === 'number' && token.text.length > 1 && /^\d+$/.test(token.text)) {
      const [first, ...rest] = token.text;
      (this.tokens as Token[])[this.at] = {...token, text: rest.join(''), isApart: false};
      return numberToken(first as string);
    }
    return this.primary();
  }

  private root(): Node {
    let degree: Node = numberOf(2);
    if (this.isMark('[')) {
      this.next();
      degree = this.sum();
      this.expect(']');
    }
    // `\\sqrt 19` means all of 19.
    const radicand = this.isMark('{') ? this.group() : this.primary();
    return {kind: 'power', base: radicand, exponent: reciprocal(degree)};
  }

  private call(name: string): Node {
    let power: Node | undefined;
    let base: Node | undefined;
    for (;;) {
      if (this.isMark('^') && power === undefined) {
        this.next();
        power = this.script();
      } else if (this.isMark('_') && base === undefined) {
        this.next();
        base = this.isMark('{') ? this.group() : this.argument();
      } else break;
    }
    const isOuterAngle = this.isAngle;
    this.isAngle = ['sin', 'cos', 'tan', 'cot', 'sec', 'csc'].includes(name);
    const args = this.functionArguments();
    this.isAngle = isOuterAngle;
    const inverse =
      power?.kind === 'number' &&
      power.value.n === -1n &&
      power.value.d === 1n &&
      ['sin', 'cos', 'tan', 'cot'].includes(name);
    let node: Node;
    if (inverse) node = {kind: 'call', name: `arc${name}`, args};
    else if (name === 'log' && base !== undefined) node = {kind: 'call', name: 'logbase', args: [base, ...args]};
    else if (base !== undefined) node = {kind: 'opaque', name, args: [base, ...args]};
    else node = {kind: 'call', name, args};
    return power === undefined || inverse ? node : {kind: 'power', base: node, exponent: power};
  }

  private functionArguments(): Node[] {
    if (this.isMark('(') || this.isMark('[')) {
      const close = this.next().text === '(' ? ')' : ']';
      const list = this.commaList();
      this.expect(close);
      return list.kind === 'list' ? [...list.items] : [list];
    }
    if (this.isMark('{')) return [this.group()];
    let node = this.take('-') ? negate(this.factor()) : this.factor();
    while (this.startsFactor() && !this.isFunction()) {
      this.budget.spend();
      node = multiply(node, this.factor());
    }
    if (this.isMark('/') && this.peek(1).kind === 'number') {
      this.next();
      node = multiply(node, reciprocal(this.factor()));
    }
    return [node];
  }

  private isFunction(): boolean {
    const token = this.peek();
    return token.kind === 'command' && (functions[token.text] !== undefined || bigOperators.has(token.text));
  }

  private bigOperator(name: string): Node {
    let below: Node | undefined;
    let above: Node | undefined;
    for (;;) {
      if (below === undefined && this.take('_')) {
        if (this.take('{')) {
          below = this.alternatives();
          this.expect('}');
        } else below = this.primary();
      } else if (above === undefined && this.take('^')) above = this.script();
      else break;
    }
    const args = [below, above].filter((bound) => bound !== undefined);
    return {kind: 'opaque', name: above ? `${name}^` : name, args: [...args, this.term()]};
  }

  private group(): Node {
    this.expect('{');
    return this.nested(() => {
      if (this.take('}')) throw new NotMathematics('an empty group');
      const node = this.alternatives();
      this.skipUnits();
      const infix = this.peek();
      if (infix.kind === 'command' && (infix.text === 'choose' || infix.text === 'over')) {
        this.next();
        const below = this.alternatives();
        this.expect('}');
        return infix.text === 'over'
          ? multiply(node, reciprocal(below))
          : {kind: 'call', name: 'binom', args: [node, below]};
      }
      this.expect('}');
      return node;
    });
  }

  private bracket(mark: string): Node {
    if (mark === '(' || mark === '[' || mark === ']') return this.tuple(mark);
    if (mark === '{') {
      this.at--;
      return this.group();
    }
    if (mark === '⦃') return this.set();
    if (mark === '|' || mark === '‖') return this.absolute(mark);
    if (mark === '⌊' || mark === '⌈') {
      const node = this.alternatives();
      this.expect(mark === '⌊' ? '⌋' : '⌉');
      return {kind: 'call', name: mark === '⌊' ? 'floor' : 'ceil', args: [node]};
    }
    if (mark === '⟨') {
      const node = this.alternatives();
      this.expect('⟩');
      return {kind: 'tuple', open: '(', close: ')', items: node.kind === 'list' ? node.items : [node]};
    }
    if (mark === '…') return {kind: 'symbol', name: '…'};
    throw new NotMathematics(`unexpected ${mark}`);
  }

  private tuple(open: string): Node {
    return this.nested(() => {
      if (this.isMark(')') || this.isMark(']')) throw new NotMathematics('empty brackets');
      const outer = [this.bars, this.isSuchThat, this.isTurned] as const;
      [this.bars, this.isSuchThat, this.isTurned] = [0, false, open === ']'];
      const node = this.alternatives();
      this.skipUnits();
      [this.bars, this.isSuchThat, this.isTurned] = outer;
      const close = this.next();
      if (close.kind !== 'mark' || ![')', ']', '['].includes(close.text))
        throw new NotMathematics(`expected a closing bracket, got ${close.text}`);
      if (node.kind !== 'list') {
        // Around one thing, brackets of either kind only group; a relation stays one.
        if ((open === '(') === (close.text === ')')) return node;
        throw new NotMathematics('brackets that do not match');
      }
      return {
        kind: 'tuple',
        open: open === '[' ? '[' : '(',
        close: close.text === ']' ? ']' : ')',
        items: node.items.map(plainList),
      };
    });
  }

  private set(): Node {
    return this.nested(() => {
      if (this.take('⦄')) return {kind: 'set', items: []};
      const outer = [this.bars, this.isSuchThat, this.isTurned] as const;
      [this.bars, this.isSuchThat, this.isTurned] = [1, true, false];
      const node = this.alternatives();
      this.skipUnits();
      [this.bars, this.isSuchThat, this.isTurned] = outer;
      if (this.take('|') || this.take(':')) {
        const condition = this.alternatives();
        this.skipUnits();
        this.expect('⦄');
        return builderOf(node, condition);
      }
      this.expect('⦄');
      return {kind: 'set', items: node.kind === 'list' ? node.items : [node]};
    });
  }

  private absolute(mark: string): Node {
    return this.nested(() => {
      this.bars++;
      const node = this.sum();
      this.bars--;
      this.expect(mark);
      return {kind: 'call', name: 'abs', args: [node]};
    });
  }

  private matrix(name: string): Node {
    if (name.startsWith('align') || name === 'gathered' || name === 'equation') throw new NotMathematics(name);
    const rows: Node[][] = [[]];
    for (;;) {
      this.budget.spend();
      const token = this.peek();
      if (token.kind === 'environment') {
        if (token.text !== `end ${name}`) throw new NotMathematics('matrices that do not match');
        this.next();
        break;
      }
      if (this.take('\\\\')) rows.push([]);
      else if (!this.take('&')) {
        if (token.kind === 'command' && token.text === 'hline') this.next();
        else rows.at(-1)?.push(name === 'cases' ? this.caseCell() : this.commaList());
      }
    }
    const filled = rows.filter((row) => row.length > 0);
    if (name === 'cases') return casesOf(filled);
    const width = filled[0]?.length ?? 0;
    if (width === 0 || filled.some((row) => row.length !== width)) throw new NotMathematics('a ragged matrix');
    const matrix: Node = {kind: 'matrix', rows: filled};
    return name === 'vmatrix' ? determinant(filled) : matrix;
  }

  /** A value, or a condition behind "if" and "for". */
  private caseCell(): Node {
    let words = '';
    while (this.peek().kind === 'word' || (words === '' && this.take(','))) {
      if (this.peek().kind === 'word') words += `${this.next().text} `;
    }
    const isOver = this.isMark('\\\\') || this.isMark('&') || this.peek().kind === 'environment';
    if (words !== '' && isOver) return {kind: 'words', text: words.trim().toLowerCase()};
    const node = this.relation();
    this.skipUnits();
    this.take(',');
    return node;
  }

  /** Words behind a quantity are its unit, with their exponents. */
  private skipUnits(): void {
    const start = this.at;
    let found = false;
    for (;;) {
      const token = this.peek();
      if (token.kind === 'word') {
        found = true;
        this.next();
        if (this.take('^')) this.script();
      } else if (found && (this.isMark('/') || this.isMark('*')) && this.peek(1).kind === 'word') this.next();
      else if (!found && this.isMark('/') && this.peek(1).kind === 'word') this.next();
      else if (found && token.kind === 'mark' && token.text === '(' && this.peek(1).kind === 'word') this.skipTo(')');
      else if (!found && token.kind === 'mark' && token.text === '(' && this.peek(1).kind === 'word' && start > 0) {
        found = true;
        this.skipTo(')');
      } else break;
    }
  }

  private skipTo(mark: string): void {
    while (this.peek().kind !== 'end' && !this.take(mark)) this.next();
  }
}

/** `{x | …}`. Of other things than real numbers, and of expressions, only what is written equally is equal. */
function builderOf(element: Node, condition: Node): Node {
  const [name, domain] = element.kind === 'relation' && element.operators[0] === '∈' ? element.items : [element];
  const isReal = domain === undefined || (domain.kind === 'symbol' && domain.name === 'mathbb R');
  if (name?.kind === 'symbol' && isReal) return {kind: 'builder', condition};
  return {kind: 'opaque', name: 'builder', args: [element, condition]};
}

/** Several equations that hold together; or the pieces of a function, each a value and its condition, in any order. */
function casesOf(rows: readonly (readonly Node[])[]): Node {
  if (rows.length === 0) throw new NotMathematics('no cases');
  if (rows.every((row) => row.length === 1)) return {kind: 'list', items: rows.map(([only]) => only as Node)};
  return {kind: 'set', items: rows.map((items) => ({kind: 'tuple', open: '(', close: ')', items}))};
}

function transposed(node: Node): Node {
  if (node.kind !== 'matrix') return node;
  return {kind: 'matrix', rows: (node.rows[0] ?? []).map((_, j) => node.rows.map((row) => row[j] as Node))};
}

/** A list inside a tuple came from semicolons: a tuple of its own. */
function plainList(node: Node): Node {
  return node.kind === 'list' ? {kind: 'tuple', open: '(', close: ')', items: node.items} : node;
}
