"""The words and signs that scores, tables, figures and the report share: each stands here once.

Representations bring their own labels and order (`egara.weights.representations`), tables and figures their titles.
"""

from dataclasses import dataclass

SIGNIFICANT = 0.05  # p-values below it are set in bold and count as evidence


@dataclass(frozen=True)
class Axis:
    """One axis of the training grid, a key of the settings' `grid` and of a cell's name.

    Attributes
    ----------
    heading : of a column.
    phrase : a value in a sentence, as a format string.
    """

    heading: str
    phrase: str


# In the order of a cell's name: rank~8_alpha~8_resolution~512_init~independent_token~none.
AXES = {
    "rank": Axis("rank", "rank {}"),
    "alpha": Axis("alpha", "alpha {}"),
    "resolution": Axis("resolution", "{} px"),
    "init": Axis("init of A", "{} A"),
    "token": Axis("token", "token {}"),
}


@dataclass(frozen=True)
class Hypothesis:
    """What counts as the same label, in words.

    Attributes
    ----------
    label : above columns of scores, and in running text.
    short : heading of a panel or of an answer.
    question : as the report asks it.
    claim : what a score above chance says the weights carry: "the weights carry …".
    labels : what is told apart, in the plural.
    """

    label: str
    short: str
    question: str
    claim: str
    labels: str


# In the order of tables. `author` is the papers' question; most of its hits are the same work.
HYPOTHESES = {
    "author": Hypothesis(
        "author, all neighbours", "Author, all neighbours", "The author, by all works?", "the author", "authors"
    ),
    "author_across_works": Hypothesis(
        "author, other works only", "Author, other works only", "The author, by other works?",
        "the author across works", "authors",
    ),
    "work": Hypothesis("work", "Work", "The work?", "the work", "works"),
}  # fmt: skip

# What a verdict is about: `author` also counts neighbours from the same work.
JUDGED = ("work", "author_across_works")

# Asked apart, of LoRAs whose works belong to series: only where some author has several.
ACROSS_SERIES = Hypothesis(
    "author, other series only", "Author, other series only", "The author, by other series?",
    "the author across series", "authors",
)  # fmt: skip

# Values of columns in the order of rows, published ways first, and in words.
L2 = {"on": "L2 on", "off": "L2 off"}
PROJECTIONS = {"ipca": "IncrementalPCA", "pca": "exact PCA", "umap": "UMAP"}
SPACES = ("ipca", "pca", "full", "umap")

# Authors' colours in figures and explorer: Waskom's palette "colorblind" (seaborn) in an order in which grey and
# yellow, faint on white, come last.
COLOURS = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#fbafe4", "#ca9161", "#949494", "#ece133"
)  # fmt: skip
# Works' markers: filled shapes that stay apart at 5 points; works beyond the twelfth start again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "<", ">", "d")
