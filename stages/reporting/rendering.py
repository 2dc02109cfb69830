"""From a template to Markdown: jinja2 fills it, and blank lines are put right where its parts meet."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, context: Mapping[str, Any]) -> str:
    """Fill a template; a name that it uses and `context` lacks is an error, never an empty string."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(context)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
