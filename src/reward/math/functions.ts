/** Functions that are evaluated, by the ways to write them. */
export const functions: Readonly<Record<string, string>> = {
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

/** With bounds below and above them. */
export const bigOperators = new Set(['sum', 'prod', 'int', 'lim', 'iint', 'oint', 'limsup', 'liminf', 'sup', 'inf']);

/** Names that stand for functions where a bracket follows. */
export const functionLetters = new Set(['f', 'g', 'h', 'F', 'G', 'H', 'P', 'Q', 'W', 'phi', 'Gamma']);
