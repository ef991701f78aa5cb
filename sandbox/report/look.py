"""The look of the page: colours for light and dark, a layout that also fits a phone, and the lines that filter it."""

CSS = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1d2125; --soft: #5c656e; --line: #d9dcdf;
  --card: #f4f4f0;
  --link: #0a58a8; --attained: #0072b2; --holds: #00785a; --violated: #b94a00; --inconclusive: #946200;
  --out_of_scope: #666c72; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e6e8; --soft: #a0a8b0; --line: #363c42;
  --card: #1d2226;
  --link: #7db8f0; --attained: #56b4e9; --holds: #2fc79a; --violated: #ff8f4d; --inconclusive: #f0b93a;
  --out_of_scope: #a0a6ac; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 82rem; padding: 1rem clamp(.8rem, 3vw, 2rem) 4rem; background: var(--paper);
  color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .6rem 0; } h2 { font-size: 1.25rem; margin: 2rem 0 .6rem; }
h3 { font-size: 1.1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
a { color: var(--link); } code { font-size: .9em; overflow-wrap: anywhere; } .soft { color: var(--soft);
  font-size: .9rem; }
.word { font-weight: 700; white-space: nowrap; font-size: .88rem; letter-spacing: .01em; }
.attained { color: var(--attained); } .holds { color: var(--holds); } .violated { color: var(--violated); }
.inconclusive { color: var(--inconclusive); } .out_of_scope, .unknown { color: var(--out_of_scope); }
.tally { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; padding: 0; margin: .5rem 0; list-style: none; }
.alarm { border-left: .3rem solid var(--violated); padding: .3rem .8rem; background: var(--card); }
.wide { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line);
  }
th { font-weight: 600; color: var(--soft); white-space: nowrap; } td.n { font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.claims td:first-child { min-width: 15rem; }
.claims td:first-child > a { font-weight: 600; overflow-wrap: anywhere; }
.claims td[data-name=outcome] { min-width: 9rem; max-width: 13rem; }
dd { overflow-x: auto; overflow-y: hidden; }
pre.statement { white-space: pre-wrap; font: inherit; font-size: .92rem; max-width: none; }
figure.overview svg { min-width: 36rem; }
section.claim { border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1.1rem; margin: 1rem 0;
  background: var(--card); }
section.claim > p { margin: .35rem 0; } dl { display: grid; grid-template-columns: max-content 1fr;
  gap: .15rem 1rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: .8rem 0; } figure svg { display: block; width: 100%; min-width: 25rem; max-width: 46rem;
  height: auto; }
figcaption { color: var(--soft); font-size: .85rem; } math { font-size: 1.1em; }
summary { cursor: pointer; color: var(--link); } details > .wide { margin-top: .5rem; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .3rem;
  padding: .3rem .6rem; width: min(100%, 26rem); }
@media (max-width: 44rem) {
  .claims thead { display: none; } .claims tr { display: block; padding: .6rem 0;
  border-bottom: 1px solid var(--line); }
  .claims td { display: block; border: 0; padding: .08rem 0; } .claims td:empty { display: none; }
  .claims td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); font-weight: 400; }
  .claims td, .claims td:first-child, .claims td[data-name=outcome] { min-width: 0; max-width: none; }
  .claims td:first-child > a { font-size: 1rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .35rem; } section.claim { padding: .7rem .8rem; } }
@media print { input, label.filter { display: none; } section.claim { break-inside: avoid; } }
"""

JS = """
const field = document.getElementById("filter");
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const part of document.querySelectorAll("[data-find]"))
    part.hidden = !words.every(word => part.dataset.find.includes(word));
});
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
{body}
<script>{js}</script>
</body>
</html>
"""
