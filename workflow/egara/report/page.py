"""The page's template: everything inside it, light and dark, for screens and for paper."""

LONG = 24  # rows from which a table beyond the paper's is folded

STYLE = """
:root { color-scheme: light dark; --ground: #fdfdfc; --ink: #1d1d1f; --muted: #7c7c82; --soft: #5d5d63;
  --line: #dcdcd8; --panel: #f4f4f1; --link: #0b5cad; --yes: #00684a; --no: #5d5d63; --unsure: #8a5a00; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17181a; --ink: #e6e6e3; --muted: #909197; --soft: #a9aaae; --line: #37383b; --panel: #1f2123;
    --link: #7db5f0; --yes: #5fd0a5; --no: #a9aaae; --unsure: #e0b060; }
  figure img { filter: brightness(.92); } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Hiragino Sans", "Noto Sans CJK JP", sans-serif; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: 2px; }
.frame { max-width: 1320px; margin: 0 auto; padding: 2.2rem 1.4rem 5rem; }
main { min-width: 0; }
nav { font-size: .86rem; color: var(--soft); margin: 1.2rem 0 2rem; }
nav ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; }
nav a { color: inherit; text-decoration: none; }
nav a:hover { text-decoration: underline; color: var(--link); }
@media (min-width: 1180px) {
  .frame { display: grid; grid-template-columns: 150px minmax(0, 1fr); gap: 0 2.4rem; }
  header, main { grid-column: 2; }
  nav { grid-column: 1; grid-row: 1 / span 2; margin: 0; padding-top: .6rem; line-height: 1.35; }
  nav ol { position: sticky; top: 2rem; flex-direction: column; gap: .55rem; } }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.012em; margin: 0 0 .3rem; max-width: 32em; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 3.4rem 0 .7rem; padding-top: .5rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 2.2rem 0 .45rem; }
p, ul { max-width: 46rem; margin: .6rem 0; }
ul { padding-left: 1.1rem; } li { margin: .35rem 0; }
.lede { font-size: 1.06rem; }
.kicker { color: var(--soft); margin: 0; font-size: .92rem; }
.note, figcaption { color: var(--soft); font-size: .83rem; line-height: 1.45; margin: .5rem 0 0; max-width: 56rem; }
figcaption b { font-weight: 600; color: var(--ink); }
.note span { display: block; margin-top: .2rem; }
.scroll { overflow-x: auto; margin: .5rem 0 0; }
.scroll + .scroll { margin-top: 1.1rem; }
.scroll:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: .8rem; line-height: 1.35;
  font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: .2rem .45rem; text-align: left; white-space: nowrap; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0; }
thead th { font-weight: 600; border-bottom: 1px solid var(--ink); vertical-align: bottom; }
thead tr.groups th { border-bottom: 1px solid var(--line); text-align: center; }
thead tr.groups th:empty { border-bottom: none; }
tbody tr:hover { background: var(--panel); }
tbody tr:last-child td { border-bottom: 1px solid var(--line); }
th.n, td.n { text-align: right; }
th.first, td.first { padding-left: 1.3rem; }
.muted { color: var(--muted); font-weight: 400; }
.strong { font-weight: 700; }
table.answer { font-size: .9rem; width: 100%; }
table.answer th, table.answer td { white-space: normal; padding: .5rem 1rem .5rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
table.answer small { display: block; color: var(--soft); font-weight: 400; font-size: .8rem; }
.verdict { font-weight: 700; }
.yes { color: var(--yes); } .no { color: var(--no); } .unsure { color: var(--unsure); }
.unknown { color: var(--muted); }
figure { margin: 1.1rem 0 2rem; }
figure img { max-width: 100%; height: auto; display: block; background: #fff; border-radius: 4px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 0 1.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; margin: .6rem 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--link); font-size: .9rem; }
pre { background: var(--panel); padding: .9rem 1rem; overflow-x: auto; font-size: .78rem; line-height: 1.45; }
code { font-size: .88em; overflow-wrap: anywhere; }
@media print {
  :root { --ground: #fff; --ink: #000; --muted: #666; --soft: #444; --line: #bbb; --panel: #f6f6f6; --link: #000; }
  @page { margin: 14mm; }
  body { font-size: 10pt; } nav { display: none; } .frame { display: block; padding: 0; max-width: none; }
  h2, h3 { break-after: avoid; } figure, tr, table.answer { break-inside: avoid; }
  figure img { max-height: 230mm; } .scroll { overflow: visible; }
  table { font-size: 6.6pt; } th, td { padding: .1rem .22rem; } th.first, td.first { padding-left: .5rem; }
  details::details-content { content-visibility: visible; display: block; } }
"""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ corpus }} · Do LoRA weights carry work and author?</title>
<style>{{ style }}</style>
</head>
<body>
{%- macro cell(tag, text, classes, scope="") -%}
<{{ tag }}{% if scope %} scope="{{ scope }}"{% endif %}{% if classes %} class="{{ classes }}"{% endif %}>
{{- text }}</{{ tag }}>
{%- endmacro %}
{%- macro link(text, address) -%}
{% if address %}<a href="{{ address }}">{{ text }}</a>{% else %}{{ text }}{% endif %}
{%- endmacro %}
{%- macro table(shown, title=true) %}
{%- if title %}
<h3 id="{{ shown.id }}">{{ shown.title }}</h3>
{%- endif %}
{%- for block in shown.blocks %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ shown.title }}"><table>
<thead>
{%- if block.spans %}
<tr class="groups"><th colspan="{{ block.settings }}"></th>
{%- for name, width in block.spans %}<th colspan="{{ width }}" scope="colgroup">{{ name }}</th>{% endfor %}</tr>
{%- endif %}
<tr>{% for name, classes in block.heads %}{{ cell("th", name, classes, "col") }}{% endfor %}</tr>
</thead>
<tbody>
{%- for row in block.rows %}
<tr>{% for text, classes in row %}{{ cell("td", text, classes) }}{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{%- endfor %}
<p class="note">{% for note in shown.notes %}<span>{{ note }}</span>{% endfor %}</p>
{%- endmacro %}
{%- macro given(kinds, folded=false) %}
{%- for kind in kinds %}
{%- if tables[kind] %}
{%- if folded and tables[kind].blocks[0].rows|length > long %}
<h3 id="{{ kind }}">{{ tables[kind].title }}</h3>
<details><summary>{{ tables[kind].blocks[0].rows|length }} rows</summary>
{{- table(tables[kind], false) }}</details>
{%- else %}
{{- table(tables[kind]) }}
{%- endif %}
{%- if tables[kind ~ "_whole"] %}
<details><summary>All spaces: maps and whole vectors</summary>
{{- table(tables[kind ~ "_whole"], false) }}</details>
{%- endif %}
{%- endif %}
{%- endfor %}
{%- endmacro %}
{%- macro picture(image) %}
<figure><img src="{{ image.source }}" alt="{{ image.alternative }}"
 width="{{ image.width|round|int }}" height="{{ image.height|round|int }}">
<figcaption><b>{{ image.title }}.</b> {{ image.caption }}</figcaption></figure>
{%- endmacro %}
<div class="frame">
<header>
<p class="kicker">Egara · corpus “{{ corpus }}”</p>
<h1>Do the weights of a LoRA carry the work, and the author, that it was trained on?</h1>
</header>
<nav aria-label="Contents"><ol>
{%- for id, name in contents %}<li><a href="#{{ id }}">{{ name }}</a></li>{% endfor %}
</ol></nav>
<main>
<section id="answer" aria-label="Answer">
{%- for text in answer %}
<p class="lede">{{ text }}</p>
{%- else %}
<p class="lede">No scores were given to this page, so it answers nothing yet.</p>
{%- endfor %}
{%- if lines %}
<div class="scroll" tabindex="0" role="region" aria-label="Answers"><table class="answer">
<thead><tr><th scope="col">Weights looked at as</th>
{%- for question in questions %}<th scope="col">{{ question }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for line in lines %}
<tr><th scope="row">{{ line.name }}<small>{{ line.detail }}</small></th>
{%- for answered in line.cells %}
<td><span class="verdict {{ answered.tone }}">{{ answered.verdict }}</span><small>{{ answered.numbers }}</small></td>
{%- endfor %}</tr>
{%- endfor %}
</tbody></table></div>
<p class="note">Above chance: p below 0.05 after the correction for {{ settings }}. Top-1: share of
LoRAs whose nearest LoRA has the same label; chance is exact, from class sizes. Whole vectors, not maps of them.</p>
{%- endif %}
{%- if overview %}{{ picture(overview) }}{% endif %}
</section>
{%- if explorer %}
<h2 id="explore">The map, to explore</h2>
<p>Every LoRA is a point. Choose the cell, how weights are looked at, and the map; point at a LoRA to see who lies
nearest. The neighbours are those of the whole vectors: a map of two dimensions may show them far apart.</p>
{{ explorer.markup }}
<script type="application/json" id="explorer-data">{{ explorer.data }}</script>
<script>{{ explorer.script }}</script>
{%- endif %}
{%- if limits %}
<h2 id="limits">What this shows, and what not</h2>
<ul>{% for text in limits %}<li>{{ text }}</li>{% endfor %}</ul>
{%- endif %}
{%- if tables.works or tables.overlap or tables.detector %}
<h2 id="material">Works, faces and sets</h2>
{%- if account %}
<ul>{% for text in account %}<li>{{ text }}</li>{% endfor %}</ul>
{%- endif %}
{%- if skipped %}
<details><summary>What was left out, row by row
{%- if skipped.total > skipped.rows|length %}: the first {{ skipped.rows|length }} of {{ skipped.total }}{% endif %}
</summary>
<div class="scroll" tabindex="0" role="region" aria-label="What was left out"><table>
<thead><tr>
{%- for name in ("work", "volume", "page or file", "what", "how many", "why") %}{{ cell("th", name, "", "col") }}
{%- endfor %}</tr></thead>
<tbody>
{%- for row in skipped.rows %}
<tr>{% for text in row %}{{ cell("td", text, "") }}{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
<p class="note">Whole lists: {% for path in skipped.files %}<code>{{ path }}</code>{% if not loop.last %}, {% endif %}
{%- endfor %}.</p>
</details>
{%- endif %}
{{- given(("works", "detector", "overlap")) }}
{%- endif %}
<h2 id="run">What was run</h2>
<dl>{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{%- if config %}
<details><summary>Configuration of this run</summary><pre>{{ config }}</pre></details>
{%- endif %}
{{- given(("environment",)) }}
{%- if timings %}{{ table(timings) }}{% endif %}
{%- if tables.cosine or tables.neighbours or tables.verdict %}
<h2 id="scores">Scores, beside chance and the published values</h2>
{{- given(("cosine", "neighbours", "methods")) }}
{{- given(("verdict", "controls", "layers", "pairs", "clusters", "grid"), true) }}
{%- endif %}
{%- if groups %}
<h2 id="figures">Figures</h2>
{%- for group in groups %}
<h3 id="{{ group.id }}">{{ group.title }}</h3>
{%- if group.remark %}<p>{{ group.remark }}</p>{% endif %}
{%- for image in group.shown %}{{ picture(image) }}{% endfor %}
{%- if group.more %}
<details><summary>{{ group.more|length }} more</summary>
{%- for image in group.more %}{{ picture(image) }}{% endfor %}</details>
{%- endif %}
{%- endfor %}
{%- endif %}
{%- if left_out %}
<p class="note">{{ left_out|length }} figures did not fit on this page; they lie in files:
{% for path in left_out %}<code>{{ path }}</code>{% if not loop.last %}, {% endif %}{% endfor %}.</p>
{%- endif %}
{%- if samples or trained_on %}
<h2 id="base">Base model</h2>
{%- if trained_on %}<p>{{ trained_on }}</p>{% endif %}
{%- if samples %}{{ picture(samples) }}{% endif %}
{%- endif %}
{%- if sheets %}
<h2 id="sheets">Faces</h2>
<p>The first crops of each work, as the detector found them.</p>
<div class="grid">{% for image in sheets %}{{ picture(image) }}{% endfor %}</div>
{%- endif %}
<h2 id="licences">Licences and sources</h2>
{%- if composed %}
<p>The volumes are composed of drawings from kits that their artists published under open licences. They were
recoloured to white, grey and black, tilted, scaled, cropped and set into pages. None of the artists endorses this
work.</p>
{%- else %}
<p>Volumes and their rights are those of the works named above. This page was made on the user's own machine
{%- if not sheets %} and shows no face{% endif %}.</p>
{%- if kits %}
<p>The base model was trained on drawings from these kits, recoloured, tilted, scaled and cropped:</p>
{%- endif %}
{%- endif %}
{%- if kits %}
<div class="scroll" tabindex="0" role="region" aria-label="Drawing kits"><table>
<thead><tr>
{%- for name in ("kit", "artist", "licence", "used for") %}{{ cell("th", name, "", "col") }}{% endfor %}</tr></thead>
<tbody>
{%- for kit in kits %}
<tr><td>{{ link(kit.title, kit.source_url) }} ({{ kit.style }})</td><td>{{ kit.creator }}</td>
<td>{{ link(kit.licence, kit.licence_url) }}</td><td>{{ kit.role }}</td></tr>
{%- endfor %}
</tbody></table></div>
{%- endif %}
<p>Published values: S. Shimoide and E. Ito, “LoRA Weight Clustering for Manga Author Identification”
(マンガ作者特定のための LoRA 重みクラスタリング), tables 1–4. Their method follows C. Liu, T. Takikawa and
A. Jacobson, “A LoRA is Worth a Thousand Pictures”, arXiv 2412.12048.</p>
</main>
</div>
</body>
</html>
"""


def render(**content: object) -> str:
    """Fill the template; all text is escaped."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = STYLE + (explorer.pop("style") if (explorer := dict(content.pop("explorer") or {})) else "")
    content["explorer"] = {name: Markup(text) for name, text in explorer.items()}
    return environment.from_string(TEMPLATE).render(style=Markup(style), long=LONG, **content)
