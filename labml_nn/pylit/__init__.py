r"""
---
summary: The renderer of these pages, which takes any annotated Python file.
---

# Literate pages from Python source

Point pylit at a file, and read prose on the left and its code on the right:

```sh
python -m labml_nn.pylit build my_model.py -o site
```

No configuration is needed, and nothing is imported or executed: the notes are the comments and
docstrings that are already there, in Markdown with mathematics. What you are reading is made by
the code you are reading. [A guide for authors](guide.md) shows what authors write most often.

A source passes through four stages:

1. [parse](parse.py): source → sections. Where does a note end, and which code is it about?
   A [notebook](notebook.py) has its sections already, [scripts](scripts.py) have other comments,
   and [directives](directives.py) fold code.
2. [prose](prose.py): Markdown, in the [dialect](dialect.py) that authors know → tokens. The
   mathematics is taken out first, and set by [KaTeX](formulas.py). The [fields](fields.py) and the
   [reST](rest.py) of docstrings become lists and boxes. What has a number is
   [referred to](references.py) by it, and what is [cited](bibliography.py) is listed.
3. [page](page.py): sections → HTML. Code is coloured by [Pygments](highlight.py), its names
   [lead to their definitions](names.py) or to [other projects](inventory.py), its
   [symbols](symbols.py) know the formulas they come from, and [claims](claims.py) know their tests,
   which are [run](testing.py) and [recorded](recorder.py), so that a mark opens its
   [proof](proofs.py).
4. [site](site.py): pages → a folder. Each gets a [frame](frame.py) with navigation, and links to
   where [its source is kept](origin.py); the folder is swapped in whole or not at all.

Around the house: what is read is decided by [config](config.py) and [project](project.py); authors
keep a page open with [serve](serve.py), ask what is wrong with [check](check.py) (which answers in
[problems](problems.py), and knows whether code has the [quantities](quantities.py) of its note),
translate with [translate](translate.py) and draw with [figures](figures.py), some of them
[living](live.py). Other pages know a page by its [outline](outline.py), and where [links](links.py)
lead is looked up before a page is written, so that it is made from data alone: what is made from
the same data is [remembered](remembered.py), and where there is much of it, made in two
[halves](halves.py). What readers [search](search.py) and what stands in
titles has its formulas in one [readable](readable.py) line. The doors are in the [command
line](__main__.py), which knows what is [asked](request.py) before anything else is imported: where
nothing has changed, a site [stands already](unchanged.py).

[Layout](layout.py) sets a row of prose and code with its [listing](listing.py), both out of
[elements](elements.py), [markup](markup.py) lets no file break its page,
[swap](swap.py) exchanges the folders, and [bench](bench.py) says how long all of it takes.

[Measured](measured.py) compares the numbers of a page with the file that they are from.

Which page is read after which, and where it stands in the list of all of them, is their
[order](order.py).
"""

VERSION = '1.0'
