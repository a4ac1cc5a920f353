"""The report's page from its templates: everything inside it, light and dark, for screens and for paper."""

LONG = 24  # rows from which a table beyond the paper's is folded
STYLES = ("report.css", "explorer.css")
SCRIPTS = ("shapes.js", "lora_map.js", "explorer.js")
TEMPLATES = ("report.html.j2", "macros.html.j2", "explorer.html.j2", *STYLES, *SCRIPTS)  # in templates/


def render(**content: object) -> str:
    """Fill the template; all text is escaped.

    Parameters
    ----------
    explorer : what `egara.report.explorer` writes, as JSON text; None or empty leaves the map out.
    content : everything else that the template names.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("egara.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def joined(names: tuple[str, ...]) -> Markup:
        return Markup("".join(loader.get_source(environment, name)[0] for name in names))

    page = environment.get_template("report.html.j2")
    return page.render(style=joined(STYLES), script=joined(SCRIPTS), long=LONG, **content)
