/** The one style of all pages; its hash is in their policy. Colours: after Okabe and Ito, told apart with any colour vision. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fcfcfa; --card: #ffffff; --ink: #1c2024; --soft: #5b646e; --line: #e2e4e1; --grid: #ecedea; --mark: #f4f5f1;
  --c0: #0072b2; --c1: #c04e00; --c2: #00795a; --c3: #a3447c; --c4: #7a6200; --c5: #4a5ab9;
  --good: #00694d; --bad: #b03a2e; --warn: #7a5c00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f23; --ink: #e8eaec; --soft: #a2abb4; --line: #31373d; --grid: #272c31; --mark: #22272c;
    --c0: #5cb8f0; --c1: #f59a4a; --c2: #35c79c; --c3: #e59ac6; --c4: #d9c04a; --c5: #9fabf5;
    --good: #4fd0a5; --bad: #ff8f80; --warn: #e5c158;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 3rem) 5rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; overflow-wrap: break-word;
}
h1 { font-size: clamp(1.7rem, 4.5vw, 2.4rem); line-height: 1.15; letter-spacing: -0.02em; margin: 0.2rem 0 0.8rem; }
h2 { font-size: 1.35rem; line-height: 1.25; letter-spacing: -0.01em; margin: 3.2rem 0 0.4rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 2rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.5rem 0; }
a { color: var(--c0); text-underline-offset: 0.15em; }
.eyebrow { color: var(--soft); font-size: 0.85rem; letter-spacing: 0.02em; margin: 0; }
.lead { font-size: 1.1rem; }
.soft, figcaption { color: var(--soft); font-size: 0.9rem; }
nav { margin: 1.2rem 0 0; display: flex; flex-wrap: wrap; gap: 0.3rem 1.1rem; font-size: 0.92rem; }
.scroll { overflow-x: auto; margin: 0.9rem 0 0.3rem; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: 0.42rem 0.7rem; text-align: right; vertical-align: baseline; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; font-size: 0.84rem; vertical-align: bottom; }
th:first-child, td.text:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.text { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 10.5rem; }
.name { white-space: normal; overflow-wrap: anywhere; min-width: 7rem; }
.pair { min-width: 17rem; }
.pair ~ .plot { width: 28%; }
.word { text-align: left; }
tbody tr:last-child > * { border-bottom: none; }
td small { color: var(--soft); font-size: 0.84em; }
.under { display: block; line-height: 1.25; }
.best { font-weight: 700; }
tbody th { font-weight: 500; }
.plot { width: 46%; min-width: 9rem; padding-top: 0; padding-bottom: 0; vertical-align: middle; }
.plot svg { display: block; width: 100%; height: 2.1rem; overflow: visible; }
thead .plot svg { height: 1.3rem; }
.tiny svg { display: block; width: 100%; min-width: 4rem; height: 5px; margin-top: 3px; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; opacity: 0.55; }
.whisker { stroke-width: 2.5; stroke-linecap: round; opacity: 0.5; }
.track { fill: var(--grid); }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.faint { stroke-width: 1; opacity: 0.35; }
.s0 { stroke: var(--c0); fill: var(--c0); } .s1 { stroke: var(--c1); fill: var(--c1); } .s2 { stroke: var(--c2); fill: var(--c2); }
.s3 { stroke: var(--c3); fill: var(--c3); } .s4 { stroke: var(--c4); fill: var(--c4); } .s5 { stroke: var(--c5); fill: var(--c5); }
.curve.s0, .curve.s1, .curve.s2, .curve.s3, .curve.s4, .curve.s5 { fill: none; }
.d1 { stroke-dasharray: 7 4; } .d2 { stroke-dasharray: 2 4; }
figure { margin: 0.9rem 0 1.6rem; }
.chart { display: grid; grid-template-columns: 2.9rem minmax(0, 1fr); grid-template-rows: 14rem 1.5rem; column-gap: 0.5rem; margin-top: 0.8rem; }
.chart svg { display: block; width: 100%; height: 100%; overflow: visible; }
.chart .along { grid-column: 2; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 0.5rem 3rem; }
.charts figure { margin: 0.9rem 0 0.6rem; }
.charts .chart { grid-template-rows: 11rem 1.5rem; }
figcaption strong { color: var(--ink); font-size: 0.98rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin: 0.3rem 0; padding: 0; list-style: none; font-size: 0.88rem; }
.legend svg { width: 1.7rem; height: 0.7rem; margin-right: 0.45rem; vertical-align: baseline; display: inline; }
.dot { width: 0.95rem; height: 0.8rem; margin-right: 0.35rem; overflow: visible; }
.tag { display: inline-block; padding: 0 0.5em; border: 1px solid var(--line); border-radius: 1em; font-size: 0.84em; color: var(--soft); background: var(--mark); white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.note { border-left: 3px solid var(--line); padding: 0.1rem 0 0.1rem 0.9rem; color: var(--soft); }
details { margin: 0.7rem 0; }
summary { cursor: pointer; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 0.55rem; padding: 0.8rem 1.1rem; margin: 0.9rem 0; }
.card > summary { font-weight: 600; overflow-wrap: anywhere; }
.answer { border-top: 1px solid var(--line); margin-top: 0.9rem; padding-top: 0.7rem; }
.answer > p { margin: 0.1rem 0 0.4rem; }
.said { border-left: 3px solid var(--line); padding-left: 0.8rem; margin: 0.6rem 0; }
.said > p { margin: 0; }
pre {
  white-space: pre-wrap; overflow-wrap: anywhere; overflow: hidden; background: var(--mark); border-radius: 0.4rem; padding: 0.65rem 0.85rem; margin: 0.4rem 0;
  font: 0.86rem/1.5 ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; unicode-bidi: plaintext; max-width: none;
}
code { font: 0.9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: 0.35rem 1.6rem; margin: 0.8rem 0; font-size: 0.95rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: 0.88rem; }
@media (max-width: 40rem) {
  body { padding-top: 1.4rem; }
  dl { grid-template-columns: 1fr; gap: 0.1rem; }
  dd { margin-bottom: 0.6rem; }
  th, td { padding-left: 0.45rem; padding-right: 0.45rem; }
  .plot { min-width: 7.5rem; }
  .between { display: none; }
}
@media print {
  :root {
    --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --grid: #ddd; --mark: #f3f3f3;
    --c0: #0072b2; --c1: #c04e00; --c2: #00795a; --c3: #a3447c; --c4: #7a6200; --c5: #4a5ab9; --good: #00694d; --bad: #b03a2e; --warn: #7a5c00;
  }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  h2, h3, summary { break-after: avoid; }
  tr, figure, .answer > p { break-inside: avoid; }
  .charts { grid-template-columns: 1fr 1fr; gap: 0.3rem 2rem; }
  .charts .chart { grid-template-rows: 8rem 1.5rem; }
  .between { display: none; }
  .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
